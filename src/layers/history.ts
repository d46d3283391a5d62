// `pydantic_ai.history`: the stored conversation, under the reserved name `history` (spec 02 §8). Which messages are
// stored, and when, is the runner's; reading a snapshot fills defaults and drops keys of newer vintages (§8.2).
// How much may be stored is bounded by the size of a request: a snapshot that does not fit cannot be sent back.

import type { JsonObject } from '../base/json.ts';
import { CompositionError } from '../compositor/errors.ts';
import { nameList } from '../compositor/names.ts';
import { list, model, optional } from '../protocol/dialect.ts';
import type { ModelMessage, messageSchemas } from '../protocol/messages.ts';
import type { RunLayerSpec } from '../protocol/runs.ts';
import { emptyLayerConfig } from './empty.ts';
import { reservedLayer } from './reserved.ts';
import type { AgentLayer, AgentLayerType, HistorySlot } from './types.ts';

const TYPE_ID = 'pydantic_ai.history';
const NAME = 'history';
const CLASS_NAME = 'PydanticAIHistoryLayer';

interface HistoryState {
  readonly messages: readonly ModelMessage[];
}

/** The type `pydantic_ai.history`; the schemas bring the clock that fills absent timestamps. */
export function historyLayer({
  message,
}: Pick<ReturnType<typeof messageSchemas>, 'message'>): AgentLayerType<unknown, HistoryState> {
  return {
    typeId: TYPE_ID,
    className: CLASS_NAME,
    config: emptyLayerConfig,
    state: model('PydanticAIHistoryRuntimeState', { messages: optional(list(message), () => []) }),
    deps: {},
    checkShape: checkHistoryShape,
    create: ({ state }) => new HistoryLayer(state.messages),
  };
}

/** At most one layer of the type, under its reserved name, without dependencies (spec 02 §8.1). @throws CompositionError */
export function checkHistoryShape(layers: readonly RunLayerSpec[]): void {
  const keys = Object.keys(reservedLayer(layers, TYPE_ID, NAME)?.deps ?? {});
  if (keys.length > 0) {
    throw new CompositionError(
      `Layer type '${TYPE_ID}' does not support dependencies; got dependency keys: ${nameList(keys)}.`,
    );
  }
}

class HistoryLayer implements AgentLayer {
  readonly className = CLASS_NAME;
  readonly history: HistorySlot;
  #messages: readonly ModelMessage[];

  constructor(messages: readonly ModelMessage[]) {
    this.#messages = messages;
    this.history = {
      read: () => this.#messages,
      append: (added) => {
        this.#messages = [...this.#messages, ...added];
      },
    };
  }

  get state(): JsonObject {
    return { messages: this.#messages } as unknown as JsonObject; // messages are JSON; their free-form fields are typed unknown
  }
}
