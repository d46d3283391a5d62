// A model that answers from a script: for tests, the demo and benchmarks. Same deltas as a real one, no peer.
// What arrives without a delay between is one batch, as if one read of a socket had brought it.

import type { AgentModel, ModelDelta } from '../agent/model.ts';
import { CodedError } from '../base/errors.ts';
import { stringifyJson } from '../wiretext/json.ts';
import { toNumber } from '../wiretext/numbers.ts';
import type { ScriptedConfig, ScriptedItem, ScriptedTurn } from './scripted-config.ts';

/** The most deltas of one batch: a long `repeat` comes in several, as a long answer would. */
const MAX_BATCH = 256;

/** The script said so, or has nothing more to say. */
export class ScriptedModelError extends CodedError {
  constructor(message: string) {
    super('scripted_model', message);
  }
}

/** Turn k answers the k-th call of `stream`; without a turn the call fails with `scripted model has no turn <k>`, k from 1. */
export function createScriptedModel({ model, turns }: Pick<ScriptedConfig, 'model' | 'turns'>): AgentModel {
  let calls = 0;
  return {
    modelName: model,
    providerName: 'Scripted',
    maxTokens: null,
    stream(_call, signal) {
      calls += 1;
      return play(turns[calls - 1], calls, signal);
    },
  };
}

async function* play(
  turn: ScriptedTurn | undefined,
  call: number,
  signal: AbortSignal,
): AsyncGenerator<readonly ModelDelta[]> {
  if (turn === undefined) throw new ScriptedModelError(`scripted model has no turn ${call}`);
  let batch: ModelDelta[] = [];
  for (const [position, item] of turn.items.entries()) {
    const delta = deltaOf(item, position);
    const delay = item.delay_ms === null ? null : toNumber(item.delay_ms);
    for (let left = toNumber(item.repeat); left > 0; left -= 1) {
      if (delay !== null || batch.length === MAX_BATCH) {
        if (batch.length > 0) yield batch;
        signal.throwIfAborted();
        batch = [];
      }
      if (delay !== null) await sleep(delay, signal);
      if (delta !== null) batch.push(delta);
    }
  }
  signal.throwIfAborted();
  if (turn.error === null) batch.push(...ending(turn));
  if (batch.length > 0) yield batch;
  if (turn.error !== null) throw new ScriptedModelError(turn.error);
}

/** Null for a bare delay and for empty text: a delta is never empty. */
function deltaOf({ text, thinking, tool_call: call }: ScriptedItem, position: number): ModelDelta | null {
  if (text) return { kind: 'text', text };
  if (thinking) return { kind: 'thinking', text: thinking };
  if (call === null) return null;
  const args = typeof call.arguments === 'string' ? call.arguments : stringifyJson(call.arguments);
  return { kind: 'tool_call', key: call.id || `#${position}`, id: call.id, name: call.name, args };
}

function ending({ items, usage, finish_reason: given }: ScriptedTurn): readonly ModelDelta[] {
  const deltas: ModelDelta[] = [];
  const calls = items.some(({ tool_call: call }) => call !== null);
  const reason = given === undefined ? (calls ? 'tool_call' : 'stop') : given;
  if (usage !== null) {
    const [inputTokens, outputTokens] = [toNumber(usage.prompt_tokens), toNumber(usage.completion_tokens)];
    deltas.push({ kind: 'usage', inputTokens, outputTokens });
  }
  if (reason !== null) deltas.push({ kind: 'finish', reason });
  return deltas;
}

/** Resolves after `ms` milliseconds; rejects with the signal's reason at once when it aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
