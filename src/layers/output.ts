// `dify.output`: the answer must be an object of a given JSON Schema; under the reserved name `output` (spec 02 §9).
// The layer checks how it is used; the schema and the answers are contract.ts's.

import type { SchemaCompiler } from '../jsonschema/compiler.ts';
import type { RunLayerSpec } from '../protocol/runs.ts';
import { EMPTY_STATE, emptyRuntimeState } from './empty.ts';
import { type OutputConfig, outputConfig } from './output/config.ts';
import { createContract } from './output/contract.ts';
import { reservedLayer } from './reserved.ts';
import type { AgentLayerType } from './types.ts';

const TYPE_ID = 'dify.output';
const NAME = 'output';
const CLASS_NAME = 'DifyOutputLayer';

/** The type `dify.output`; compiled schemas are shared by all its layers. */
export function outputLayer(schemas: SchemaCompiler): AgentLayerType<OutputConfig> {
  return {
    typeId: TYPE_ID,
    className: CLASS_NAME,
    config: outputConfig,
    state: emptyRuntimeState,
    deps: {},
    checkShape: checkOutputShape,
    create: ({ config }) => ({
      className: CLASS_NAME,
      state: EMPTY_STATE,
      outputContract: () => createContract(config, schemas),
    }),
  };
}

/** At most one layer of the type, under its reserved name (spec 02 §9.1). @throws CompositionError */
export function checkOutputShape(layers: readonly RunLayerSpec[]): void {
  reservedLayer(layers, TYPE_ID, NAME);
}
