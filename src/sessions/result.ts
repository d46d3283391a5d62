// What a turn answers with, from how its run ended and how that was saved.

import type { TerminalEvent } from '../client/types.ts';
import { AgentSessionError } from './errors.ts';
import type { ResumeOptions, RunOptions } from './options.ts';
import type { Settled } from './settle.ts';
import { isUsable, questionOf } from './transition.ts';
import type { DeferredResult, FailedResult, StoredSession, TurnNote, TurnResult } from './types.ts';

export function resultOf(
  event: TerminalEvent,
  { runId, attempt }: Pick<TurnNote, 'runId' | 'attempt'>,
  { persisted, error: persistError }: Pick<Settled, 'persisted' | 'error'>,
  correlation: string | undefined,
): TurnResult {
  const { usage } = event.data;
  const ended = {
    runId,
    attempt,
    persisted,
    ...(persisted ? {} : { persistError }),
    ...(usage == null ? {} : { usage }),
  };
  if (event.type === 'run_failed') {
    return { ...ended, kind: 'failed', error: event.data.error, reason: event.data.reason ?? null };
  }
  if (event.type === 'run_cancelled') {
    return { ...ended, kind: 'cancelled', reason: event.data.reason ?? null, message: event.data.message ?? null };
  }
  const call = questionOf(event);
  if (call === null) return { ...ended, kind: 'output', output: event.data.output ?? null };
  const named = correlation === undefined ? {} : { correlation };
  return { ...ended, kind: 'deferred', call, ...named, repeated: false };
}

/** The last attempt's output was not good either. What it left is saved: the session goes on from there. */
export function failedCheck(result: TurnResult, error: string): FailedResult {
  const { runId, attempt, persisted, persistError, usage } = result;
  return {
    kind: 'failed',
    error,
    reason: 'output_type_check_failed',
    runId,
    attempt,
    persisted,
    ...(persistError === undefined ? {} : { persistError }),
    ...(usage === undefined ? {} : { usage }),
  };
}

/**
 * What an open question (or none) means for a turn: the question again, or null: go on.
 * @throws AgentSessionError `agent_session_question_pending`, `agent_session_no_question`
 */
export function openQuestion(
  row: StoredSession | null,
  { mode, options }: { readonly mode: TurnNote['mode']; readonly options: RunOptions & ResumeOptions },
): DeferredResult | null {
  const pending = isUsable(row) ? row.pending : undefined;
  if (mode === 'resume') {
    if (pending !== undefined && (options.toolCallId ?? pending.toolCallId) === pending.toolCallId) return null;
    const which = options.toolCallId === undefined ? '' : ` '${options.toolCallId}'`;
    throw new AgentSessionError('agent_session_no_question', `no question${which} of this session waits for an answer`);
  }
  const { onPending = 'return' } = options;
  if (pending === undefined || onPending === 'ignore') return null;
  const { toolCallId, toolName, args, metadata, correlation } = pending;
  if (onPending === 'reject') {
    const message = `the session's question '${toolCallId}' waits for its answer: use resume()`;
    throw new AgentSessionError('agent_session_question_pending', message);
  }
  return {
    kind: 'deferred',
    call: { tool_call_id: toolCallId, tool_name: toolName, args, metadata },
    ...(correlation === undefined ? {} : { correlation }),
    repeated: true,
    runId: row?.lastRunId ?? '',
    attempt: 1,
    persisted: true,
  };
}
