// Every variable of the environment, declared once, in the shape of the Settings it fills: the place in this tree is the
// key path. A new setting = one field in settings.ts and one declaration in variables/ (then `npm run docs`).
// Names, defaults and bounds of the seed variables: spec 01 §7.7, 03 §2.1, 05 §1.

import type { RawSettings } from './raw.ts';
import { isVariable, type Variable, type VariableTree } from './variable.ts';
import { observeVariables } from './variables/observe.ts';
import { peerVariables } from './variables/peers.ts';
import { runVariables } from './variables/runs.ts';
import { serverVariables } from './variables/server.ts';
import { storeVariables } from './variables/store.ts';
import { stubVariables } from './variables/stub.ts';
import { traceVariables } from './variables/traces.ts';

/** All variables. */
export const variables: VariableTree<RawSettings> = {
  ...serverVariables,
  ...storeVariables,
  ...runVariables,
  ...observeVariables,
  ...peerVariables,
  ...stubVariables,
  ...traceVariables,
};

/** The declarations in order, without their tree. */
export function listVariables(): readonly Variable<unknown>[] {
  return flatten(variables);
}

function flatten(tree: object): Variable<unknown>[] {
  return Object.values(tree).flatMap((node: object) => (isVariable(node) ? [node] : flatten(node)));
}
