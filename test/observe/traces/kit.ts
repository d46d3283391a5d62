// Tracing as app.ts would open it, with a collector of its own; and a run as the rooms would tell it to a probe.

import type { Logger } from '../../../src/observe/logger.ts';
import { noopLogger } from '../../../src/observe/logger.ts';
import type { Probe, RunEnd, RunProbe } from '../../../src/observe/probe.ts';
import { openTraces, type Traces } from '../../../src/observe/traces/open.ts';
import type { TraceOptions } from '../../../src/observe/traces/options.ts';
import { type FakeCollector, startFakeCollector } from '../../fakes/otlp.ts';

export const DEFAULTS: Omit<TraceOptions, 'url'> = {
  headerNames: [],
  headers: [],
  timeoutMs: 10_000,
  compression: 'none',
  tls: { caFile: null, certFile: null, keyFile: null },
  serviceName: 'dify-agent',
  resourceAttributes: [],
  sampler: 'parentbased_always_on',
  samplerRatio: 1,
  batch: { scheduleDelayMs: 20, exportTimeoutMs: 30_000, maxQueueSize: 2048, maxExportBatchSize: 512 },
  propagate: true,
  content: false,
};

/** A line of the log. */
export interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A logger that keeps its lines. */
export function keepingLogger(): { readonly logger: Logger; readonly lines: Line[] } {
  const lines: Line[] = [];
  const at =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push({ level, message, fields });
    };
  return {
    lines,
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => noopLogger },
  };
}

export interface Site {
  readonly collector: FakeCollector;
  readonly traces: Traces;
  readonly probe: Probe;
  readonly lines: readonly Line[];
}

/** Tracing to a collector of its own for the length of `use`. The collector may not find anything wrong. */
export async function withTraces(options: Partial<TraceOptions>, use: (site: Site) => Promise<void>): Promise<void> {
  const collector = startFakeCollector();
  const { logger, lines } = keepingLogger();
  try {
    const traces = await opened({ url: `${collector.url}/v1/traces`, ...options }, logger);
    try {
      await use({ collector, traces, probe: traces.probe, lines });
    } finally {
      await traces.close();
    }
    if (collector.violations.length > 0) throw new Error(collector.violations.join('\n'));
  } finally {
    await collector.stop();
  }
}

export async function opened(
  options: Partial<TraceOptions> & Pick<TraceOptions, 'url'>,
  logger: Logger = noopLogger,
  secrets: readonly string[] = [],
): Promise<Traces> {
  const traces = await openTraces({ ...DEFAULTS, ...options }, { logger, secrets });
  if (traces === null) throw new Error('tracing is off');
  return traces;
}

export const SUCCEEDED: RunEnd = {
  outcome: 'succeeded',
  reason: null,
  error: null,
  events: 12,
  eventChars: 3456,
  inputTokens: 20,
  outputTokens: 30,
};

export const REQUEST = {
  method: 'POST',
  route: '/runs',
  traceparent: null,
  tracestate: null,
  requestId: 'req-1',
} as const;

/** Lets whatever is waiting go first. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export interface Told {
  readonly traceparent?: string | null;
  readonly tracestate?: string | null;
  readonly end?: RunEnd;
  /** Called when content is built. */
  readonly built?: (what: string) => void;
  readonly prompt?: string;
}

/** A run with one tool call, told as the rooms tell it. Answers with the headers that went to the daemon. */
export async function tellRun(probe: Probe, told: Told = {}): Promise<readonly Readonly<Record<string, string>>[]> {
  const { traceparent = null, tracestate = null, end = SUCCEEDED, built = () => {}, prompt = 'Add 1 and 2.' } = told;
  const sent: Readonly<Record<string, string>>[] = [];
  const content = (what: string) => () => {
    built(what);
    return what;
  };
  const request = probe.request({ ...REQUEST, traceparent, tracestate });
  const executed = request.within(async () => {
    const run = probe.run({ runId: 'run-1', tenantId: 'tenant-1', layers: 4 });
    await run.within(async () => {
      const create = probe.store('create');
      await create.within(turn);
      create.end({ failed: false });
    });
    // The answer is given now; the run goes on by itself.
    return { finished: run.within(() => execute(probe, run, end, content, prompt, sent)) };
  });
  const { finished } = await executed;
  request.end({ status: 202 });
  await finished;
  return sent;
}

async function execute(
  probe: Probe,
  run: RunProbe,
  end: RunEnd,
  content: (what: string) => () => string,
  prompt: string,
  sent: Readonly<Record<string, string>>[],
): Promise<void> {
  const ask = async (step: number, said: string): Promise<void> => {
    const request = run.modelRequest({ provider: 'p/openai', model: 'gpt-4o', step, content: content(prompt) });
    await request.within(async () => {
      await turn();
      const peer = probe.peer({ peer: 'plugin_daemon', method: 'POST', operation: 'llm/invoke' });
      sent.push(peer.headers);
      await peer.within(turn);
      peer.end({ status: 200, error: null });
    });
    request.end({ error: null, finishReason: 'stop', inputTokens: 10, outputTokens: 15, content: content(said) });
  };
  await ask(1, 'call add');
  run.stored(5, 1000, 1.5);
  const tool = run.toolCall({ tool: 'add', callId: 'call-1', content: content('{"a":1,"b":2}') });
  await tool.within(async () => {
    const peer = probe.peer({ peer: 'plugin_daemon', method: 'POST', operation: 'tool/invoke' });
    sent.push(peer.headers);
    await peer.within(turn);
    peer.end({ status: 200, error: null });
  });
  tool.end({ outcome: 'ok', content: content('3') });
  await ask(2, 'It is 3.');
  run.stored(6, 2000, 2.5);
  const append = probe.store('append');
  append.end({ failed: false });
  const finalise = probe.store('finalise');
  await finalise.within(turn);
  finalise.end({ failed: false });
  run.end(end);
}
