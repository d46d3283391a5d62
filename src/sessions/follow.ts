// Following a run to its end, whatever the caller does meanwhile: an abort cancels the run and waits for what became of it.

import { DifyAgentStreamError, DifyAgentTimeoutError } from '../client/errors.ts';
import { isTerminal, type RunEvent, type TerminalEvent } from '../client/types.ts';
import { limitOf } from './limits.ts';
import type { Deps, TurnOptions } from './options.ts';

export interface FollowOptions extends Pick<TurnOptions, 'onEvent' | 'cancelOnAbort' | 'stream'> {
  readonly signal: AbortSignal;
}

/** How a run ended. */
export interface Followed {
  readonly event: TerminalEvent;
  /** What `onEvent` threw; it was not called again. */
  readonly fault: { readonly error: unknown } | null;
}

/**
 * Reads to the terminal event. Rejects with the client's error when that cannot be had, and with the signal's reason (or
 * what `onEvent` threw) when the run was not to be cancelled or its end is not known.
 */
export async function follow(deps: Deps, runId: string, options: FollowOptions): Promise<Followed> {
  const { signal, onEvent, cancelOnAbort = true, stream = {} } = options;
  const { client, cancelGraceMs } = deps;
  let cursor = '0-0';
  let terminal: TerminalEvent | null = null;
  let fault: Followed['fault'] = null;

  async function tell(event: RunEvent): Promise<void> {
    if (onEvent === undefined || fault !== null) return;
    try {
      await onEvent(event);
    } catch (error) {
      fault = { error };
      throw error;
    }
  }

  async function read(stop: AbortSignal): Promise<TerminalEvent> {
    for await (const event of client.streamEvents(runId, { ...stream, after: cursor, signal: stop })) {
      cursor = event.id;
      if (isTerminal(event)) terminal = event;
      await tell(event);
      if (isTerminal(event)) return event;
    }
    throw new DifyAgentStreamError('SSE stream ended before a terminal event');
  }

  try {
    return { event: await read(signal), fault };
  } catch (error) {
    if (terminal !== null) return { event: terminal, fault };
    if (!(signal.aborted || fault !== null) || !cancelOnAbort) throw error;
    const reason = signal.reason instanceof DifyAgentTimeoutError ? 'deadline_exceeded' : 'client_aborted';
    const grace = limitOf('the end of a cancelled run', undefined, cancelGraceMs);
    try {
      // One that is over already, or a server that cannot cancel, is waited for as well.
      await client.cancelRun(runId, { reason }, { signal: grace.signal }).catch(() => {});
      return { event: await read(grace.signal), fault };
    } catch {
      throw error;
    } finally {
      grace.clear();
    }
  }
}
