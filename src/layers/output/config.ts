// The configuration of `dify.output` (spec 02 §9.2).

import type { JsonObject } from '../../base/json.ts';
import {
  bool,
  checked,
  dict,
  json,
  model,
  nullable,
  type Out,
  optional,
  required,
  str,
} from '../../protocol/dialect.ts';

/** There is no name: the tool's name is fixed. What is inside the schema is checked after entry (spec 02 §9.3). */
export const outputConfig = model('DifyOutputLayerConfig', {
  json_schema: required(
    checked<JsonObject>(dict(json()), ({ type }) =>
      type === 'object' ? null : 'Schema must declare an object output.',
    ),
  ),
  description: optional(nullable(str()), null),
  strict: optional(nullable(bool()), null),
});

export type OutputConfig = Out<typeof outputConfig>;
