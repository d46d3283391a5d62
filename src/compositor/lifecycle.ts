// Entering and exiting one layer (spec 02 §4): scope, hook, state. The order over layers and what is reported is run.ts's.

import { CodedError } from '../base/errors.ts';
import { untilAbandoned, within } from '../base/waiting.ts';
import type { ExitIntent, LifecycleState } from '../protocol/runs.ts';
import type { CloseScope, Layer } from './layer.ts';

/** A layer's place in one run. */
export interface Slot<L extends Layer = Layer> {
  readonly name: string;
  readonly layer: L;
  state: LifecycleState;
  /** What exit does; meaningful while active. */
  intent: ExitIntent;
  /** True when it was entered by resume: a rollback must not delete what it found. */
  resumed: boolean;
  close: CloseScope | null;
}

/** An exit hook or a scope took longer than it may. */
export class ExitTimeoutError extends CodedError {
  constructor(name: string, timeoutMs: number) {
    super('exit_timeout', `Layer '${name}' did not exit within ${timeoutMs / 1000} seconds.`);
  }
}

/** How exits of a run go. */
export interface ExitOptions {
  /** Milliseconds for each hook and each scope. */
  readonly timeoutMs: number;
  readonly onError: (name: string, error: unknown) => void;
}

/**
 * Opens the scope, then creates (`new`) or resumes (`suspended`). When the hook fails the scope is closed and the state stays.
 * A hook that goes on after the abort gets the time of an exit hook, and is then left behind.
 */
export async function enterSlot(slot: Slot, signal: AbortSignal, options: ExitOptions): Promise<void> {
  const { layer } = slot;
  signal.throwIfAborted();
  slot.resumed = slot.state === 'suspended';
  slot.close = await openScope(slot, signal, options);
  try {
    const entering = slot.resumed ? layer.onResume?.(signal) : layer.onCreate?.(signal);
    if (entering !== undefined) await untilAbandoned(entering, signal, options.timeoutMs);
  } catch (error) {
    await closeScope(slot, options);
    throw error;
  }
  slot.state = 'active';
  slot.intent = 'delete';
}

async function openScope(slot: Slot, signal: AbortSignal, options: ExitOptions): Promise<CloseScope | null> {
  const opening = slot.layer.open?.(signal);
  if (opening === undefined) return null;
  try {
    return await untilAbandoned(opening, signal, options.timeoutMs);
  } catch (error) {
    // One that opens after all is closed by nobody else. Its failure is the error at hand, or came too late to matter.
    opening.then((close) => shielded(slot.name, options, close)).catch(() => {});
    throw error;
  }
}

/** Suspends or deletes, then closes the scope; the state is set whatever they do. Never throws: errors go to `onError`. */
export async function exitSlot(slot: Slot, options: ExitOptions): Promise<void> {
  const { layer } = slot;
  const hook = slot.intent === 'suspend' ? layer.onSuspend : layer.onDelete;
  if (hook !== undefined) await shielded(slot.name, options, (signal) => hook.call(layer, signal));
  slot.state = slot.intent === 'suspend' ? 'suspended' : 'closed';
  await closeScope(slot, options);
}

async function closeScope(slot: Slot, options: ExitOptions): Promise<void> {
  const { close } = slot;
  slot.close = null;
  if (close !== null) await shielded(slot.name, options, close);
}

/** Runs a task out of reach of the run's abort, for a bounded time; one that ignores its signal is left behind. */
async function shielded(name: string, options: ExitOptions, task: CloseScope): Promise<void> {
  try {
    await within(options.timeoutMs, new ExitTimeoutError(name, options.timeoutMs), task);
  } catch (error) {
    options.onError(name, error);
  }
}
