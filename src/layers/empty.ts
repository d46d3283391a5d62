// The config and the state of layers that have none (spec 02 §6, §8.1): both accept `{}` and nothing else.

import type { JsonObject } from '../base/json.ts';
import { model } from '../protocol/dialect.ts';

export const emptyLayerConfig = model('EmptyLayerConfig', {});
export const emptyRuntimeState = model('EmptyRuntimeState', {});

/** The dump of a layer without state. */
export const EMPTY_STATE: JsonObject = Object.freeze({});
