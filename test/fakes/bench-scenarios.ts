// The scenarios of the reference's micro profile (spec 07 §6.1, `scenarios.json` v1): data that the fake peers, the driver and the
// report share. Times are in milliseconds.

/** How long a phase of a block lasts: so many runs, or so many seconds. */
export type Phase = { readonly runs: number } | { readonly seconds: number };

/** One line of the profile. */
export interface Scenario {
  readonly id: string;
  readonly version: number;
  readonly modelRounds: number;
  readonly chunks: number;
  readonly concurrency: number;
  /** Between two chunks; 0: all are due at once. */
  readonly gapMs: number;
  readonly warmUp: Phase;
  readonly measure: Phase;
}

/** From the request of a model until its first chunk. */
export const MODEL_DELAY_MS = 10;
/** From the call of the tool until its answer. */
export const TOOL_DELAY_MS = 5;
/** Text of one answer of the tool, bytes. */
export const TOOL_BYTES = 1_024;

const RUNS_10_50 = { warmUp: { runs: 10 }, measure: { runs: 50 } };

/** The five, in the order in which they are measured. */
export const SCENARIOS: readonly Scenario[] = [
  { id: 'single_1_chunk_c1', version: 1, modelRounds: 1, chunks: 1, concurrency: 1, gapMs: 0, ...RUNS_10_50 },
  { id: 'single_100_chunks_c1', version: 1, modelRounds: 1, chunks: 100, concurrency: 1, gapMs: 1, ...RUNS_10_50 },
  {
    ...{ id: 'three_tool_rounds_100_chunks_c1', version: 1, modelRounds: 3, chunks: 100, concurrency: 1, gapMs: 1 },
    ...RUNS_10_50,
  },
  {
    ...{ id: 'three_tool_rounds_100_chunks_c10', version: 1, modelRounds: 3, chunks: 100, concurrency: 10, gapMs: 1 },
    ...{ warmUp: { seconds: 10 }, measure: { seconds: 30 } },
  },
  {
    ...{ id: 'single_1000_chunks_c1', version: 1, modelRounds: 1, chunks: 1_000, concurrency: 1, gapMs: 0 },
    ...{ warmUp: { runs: 10 }, measure: { runs: 20 } },
  },
];

/** Rounds that call the tool. */
export function toolRoundsOf({ modelRounds }: Scenario): number {
  return modelRounds - 1;
}

/** What a run takes when the server takes nothing. */
export function budgetMs(scenario: Scenario): number {
  const { modelRounds, chunks, gapMs } = scenario;
  return modelRounds * MODEL_DELAY_MS + toolRoundsOf(scenario) * TOOL_DELAY_MS + (chunks - 1) * gapMs;
}

/** Items of the model's streams: a tool call is one, a chunk is one. */
export function streamItems(scenario: Scenario): number {
  return toolRoundsOf(scenario) + scenario.chunks;
}

/** Runs per second of a server that takes nothing. */
export function idealRunsPerSecond(scenario: Scenario): number {
  return (scenario.concurrency * 1000) / budgetMs(scenario);
}

/** The scenario of an id, or undefined. */
export function scenarioOf(id: string): Scenario | undefined {
  return SCENARIOS.find((scenario) => scenario.id === id);
}
