// What the fake peers of the benchmark saw of each run (spec 07 §6.2), and what they should have seen: a block whose ledgers do
// not agree measured something else than its name says. Pure; the socket is bench-daemon.ts's.

import { budgetMs, type Scenario, streamItems, TOOL_BYTES, toolRoundsOf } from './bench-scenarios.ts';

/** What is kept of one run. */
export interface Ledger {
  readonly benchmark_run_id: string;
  readonly scenario_id: string;
  readonly scenario_version: number;
  readonly budget_ms: number;
  model_calls: number;
  /** From having read a request of the model to having written the first byte of its answer, ms. */
  readonly model_start_latencies_ms: number[];
  tool_calls: number;
  tool_bytes: number;
  stream_items: number;
  text_chunks: number;
  /** What was refused, in words. */
  readonly refusals: string[];
}

/** The page of a run that is about to start. */
export function newLedger(runId: string, scenario: Scenario): Ledger {
  return {
    benchmark_run_id: runId,
    scenario_id: scenario.id,
    scenario_version: scenario.version,
    budget_ms: budgetMs(scenario),
    model_calls: 0,
    model_start_latencies_ms: [],
    tool_calls: 0,
    tool_bytes: 0,
    stream_items: 0,
    text_chunks: 0,
    refusals: [],
  };
}

/** What a finished run's ledger says otherwise than its scenario, in words; empty: nothing. */
export function mismatches(ledger: Ledger, scenario: Scenario): readonly string[] {
  const tools = toolRoundsOf(scenario);
  const wanted = {
    scenario_id: scenario.id,
    scenario_version: scenario.version,
    budget_ms: budgetMs(scenario),
    model_calls: scenario.modelRounds,
    tool_calls: tools,
    tool_bytes: tools * TOOL_BYTES,
    stream_items: streamItems(scenario),
    text_chunks: scenario.chunks,
  };
  const wrong = Object.entries(wanted).flatMap(([name, value]) => {
    const found = ledger[name as keyof typeof wanted]; // the keys of the literal above
    return found === value ? [] : [`${name} ${found} instead of ${value}`];
  });
  return [...wrong, ...ledger.refusals].map((problem) => `ledger of ${ledger.benchmark_run_id}: ${problem}`);
}
