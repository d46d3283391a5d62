// A server of runs in this process, as AgentSessions sees one through a client: what a run ends with is the test's to say,
// as is whether anybody answers at all.

import {
  DifyAgentClientError,
  DifyAgentHTTPError,
  DifyAgentNotFoundError,
  DifyAgentTimeoutError,
} from '../../src/client/errors.ts';
import {
  type CreateRunRequest,
  isTerminal,
  type JsonValue,
  type RunEvent,
  type RunStatus,
  type SessionSnapshot,
  type TerminalEvent,
} from '../../src/client/index.ts';
import type { SessionClient } from '../../src/sessions/index.ts';
import { until } from '../support/until.ts';

/** A terminal event without its envelope. */
export type End = Pick<TerminalEvent, 'type'> & { readonly data: JsonValue | object };

/** A run that was made. */
export interface FakeRun {
  readonly id: string;
  readonly request: CreateRunRequest;
  status: RunStatus;
  events: RunEvent[];
  cancelled: string | null;
}

/** Ends a run at once, or (null) leaves it running until `end`. */
export type Script = (request: CreateRunRequest, run: FakeRun) => End | null;

/** The snapshot that a run of this composition leaves; `messages` is its history. */
export function snapshotOf(request: CreateRunRequest, messages: JsonValue = [], state = 'suspended'): SessionSnapshot {
  return {
    schema_version: 1,
    layers: request.composition.layers.map(({ name, type }) => ({
      name,
      lifecycle_state: state as 'suspended' | 'closed',
      runtime_state: type === 'pydantic_ai.history' ? { messages } : {},
    })),
  };
}

/** The history that a request resumes. */
export function messagesOf(request: CreateRunRequest): readonly JsonValue[] {
  const entry = request.session_snapshot?.layers.find(({ name }) => name === 'history');
  return (entry?.runtime_state.messages ?? []) as readonly JsonValue[]; // a list, as snapshotOf makes it
}

/** Whether a run is a clean-up. */
export function isCleanup(request: CreateRunRequest): boolean {
  return request.metadata?.agent_backend_lifecycle === 'session_cleanup';
}

/** Answers `text`, with a history that is one message longer. */
export function answers(text: string): Script {
  return (request) => ({
    type: 'run_succeeded',
    data: { output: text, session_snapshot: snapshotOf(request, [...messagesOf(request), text]) },
  });
}

/** Asks a question that its history ends with. */
export function asks(toolCallId: string): Script {
  return (request) => {
    const call = { part_kind: 'tool-call', tool_call_id: toolCallId, tool_name: 'ask_human', args: '{}' };
    const message = { kind: 'response', parts: [call] };
    return {
      type: 'run_succeeded',
      data: {
        deferred_tool_call: { tool_call_id: toolCallId, tool_name: 'ask_human', args: { question: '?' }, metadata: {} },
        session_snapshot: snapshotOf(request, [...messagesOf(request), message]),
      },
    };
  };
}

export const fails: Script = () => ({ type: 'run_failed', data: { error: 'the model is ill', reason: 'model_error' } });
export const hangs: Script = () => null;

export class FakeServer {
  readonly runs: FakeRun[] = [];
  /** Of all runs but clean-ups. */
  script: Script = answers('ok');
  /** Of clean-ups. */
  cleanup: Script = (request) => ({
    type: 'run_succeeded',
    data: { output: null, session_snapshot: snapshotOf(request, [], 'closed') },
  });
  /** Nobody answers. */
  down = false;
  /** Thrown by createRun instead of making a run. */
  refusal: Error | null = null;
  /** The answer of createRun is lost: the run is made. */
  loseAnswer = false;
  /** The server cancels nothing. */
  cannotCancel = false;
  /** What a cancelled run ends with. */
  cancelledWith: (request: CreateRunRequest) => SessionSnapshot | null = () => null;
  readonly #waiting = new Set<() => void>();
  #made = 0;

  get turns(): readonly FakeRun[] {
    return this.runs.filter(({ request }) => !isCleanup(request));
  }

  get cleanups(): readonly FakeRun[] {
    return this.runs.filter(({ request }) => isCleanup(request));
  }

  /** The nth turn's run; waits for it. */
  turn(n: number): Promise<FakeRun> {
    return until(`run ${n}`, () => this.turns[n]);
  }

  end(run: FakeRun, { type, data }: End): void {
    if (run.status !== 'running') return;
    run.status = type === 'run_succeeded' ? 'succeeded' : type === 'run_failed' ? 'failed' : 'cancelled';
    this.#event(run, type, data);
  }

  forget(run: FakeRun): void {
    this.runs.splice(this.runs.indexOf(run), 1);
    this.#wake();
  }

  readonly client: SessionClient = {
    createRun: async (given) => {
      this.#answer();
      if (this.refusal !== null) throw this.refusal;
      const request = JSON.parse(typeof given === 'string' ? given : JSON.stringify(given)) as CreateRunRequest; // as sent
      const body = JSON.stringify(request);
      const known = this.runs.find((run) => JSON.stringify(run.request) === body && request.idempotency_key !== null);
      const run = known ?? this.#make(request);
      if (this.loseAnswer) throw new DifyAgentClientError('createRun request failed: socket hang up');
      return { run_id: run.id, status: run.status };
    },
    getRun: async (runId) => {
      const { id, status, events } = this.#find(runId);
      const last = events.at(-1);
      const error = last?.type === 'run_failed' ? last.data.error : null;
      return { run_id: id, status, created_at: '', updated_at: '', error };
    },
    waitRun: async (runId, { signal, timeoutMs = 1_000 } = {}) => {
      const over = () => signal?.aborted === true || this.#find(runId).status !== 'running';
      await until('the run', over, { timeoutMs }).catch(() => {
        throw new DifyAgentTimeoutError(`run '${runId}' did not finish before timeout`);
      });
      signal?.throwIfAborted();
      return this.client.getRun(runId);
    },
    streamEvents: (runId, options) => this.#stream(runId, options?.after ?? '0-0', options?.signal),
    cancelRun: async (runId, request = {}) => {
      const run = this.#find(runId);
      if (this.cannotCancel) throw new DifyAgentHTTPError(405, 'Method Not Allowed');
      if (run.status !== 'running') throw new DifyAgentHTTPError(409, 'run is over');
      run.cancelled = request.reason ?? '';
      const data = { reason: request.reason ?? null, message: null, session_snapshot: this.cancelledWith(run.request) };
      this.end(run, { type: 'run_cancelled', data });
      return { run_id: runId, status: 'cancelled' };
    },
  };

  async *#stream(runId: string, after: string, signal: AbortSignal | undefined): AsyncGenerator<RunEvent, void, void> {
    let next = Number(after.split('-')[0]);
    for (;;) {
      signal?.throwIfAborted();
      const event = this.#find(runId).events[next];
      if (event === undefined) {
        await this.#wait(signal);
        continue;
      }
      next += 1;
      yield event;
      if (isTerminal(event)) return;
    }
  }

  #make(request: CreateRunRequest): FakeRun {
    const run: FakeRun = { id: `run-${++this.#made}`, request, status: 'running', events: [], cancelled: null };
    this.runs.push(run);
    this.#event(run, 'run_started', {});
    const end = isCleanup(request) ? this.cleanup(request, run) : this.script(request, run);
    if (end !== null) this.end(run, end);
    return run;
  }

  #event(run: FakeRun, type: string, data: unknown): void {
    const id = `${run.events.length + 1}-0`;
    run.events.push({ id, run_id: run.id, created_at: '', type, data } as RunEvent); // what the test wants it to be
    this.#wake();
  }

  #find(runId: string): FakeRun {
    this.#answer();
    const run = this.runs.find(({ id }) => id === runId);
    if (run === undefined) throw new DifyAgentNotFoundError(404, 'run not found');
    return run;
  }

  #answer(): void {
    if (this.down) throw new DifyAgentClientError('request failed: connection refused');
  }

  /** Makes everybody who reads a stream look again. */
  interrupt(): void {
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}
