// Environment and files → one frozen Settings value, or every problem in one line each that names its variable.
// The rules between variables are here; those of one variable are in its declaration (variables.ts).

import { accessProblems } from './access.ts';
import type { RawSettings } from './raw.ts';
import type { Settings } from './settings.ts';
import { collect, type Environment, type Found, type Source } from './sources.ts';
import { stubConflicts } from './stub.ts';
import { closestName } from './suggest.ts';
import { OTEL_PREFIX, traceProblems, traceSettings, tracesOff } from './traces.ts';
import { good, isVariable, type Parsed, PREFIX, type Variable } from './variable.ts';
import { listVariables, variables } from './variables.ts';

/** Read by commands that talk to a server, which need no settings (cli/remote.ts): no mistake beside them. */
const READ_ELSEWHERE: readonly string[] = ['DIFY_AGENT_URL'];

/** One variable with its effective value. */
export interface Reading {
  readonly variable: Variable<unknown>;
  readonly source: Source;
  readonly result: Parsed<unknown>;
}

/** A `DIFY_AGENT_*` name that nothing reads. */
export interface UnknownVariable {
  readonly name: string;
  readonly source: Source;
  /** The variable that was probably meant. */
  readonly suggestion: string | null;
}

/** Everything `check` wants to know. */
export interface Configuration {
  readonly readings: readonly Reading[];
  readonly unknown: readonly UnknownVariable[];
  /** One line each; empty exactly when there are settings. */
  readonly problems: readonly string[];
  /** What is set and does not count because the same variable is set by its other name, one line each. */
  readonly warnings: readonly string[];
  readonly settings: Settings | null;
}

/** The outcome of loading. `sources` is by variable name; `warnings` as in Configuration. */
export type LoadResult =
  | {
      readonly ok: true;
      readonly settings: Settings;
      readonly sources: ReadonlyMap<string, Source>;
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly problems: readonly string[] };

/**
 * Loads the settings of a process.
 *
 * @param env the real environment, usually `process.env`
 * @param cwd where `.env` and `dify-agent/.env` are looked for; null: read no file
 */
export function loadSettings(env: Environment, cwd: string | null): LoadResult {
  const { settings, readings, problems, warnings } = readConfiguration(env, cwd);
  if (settings === null) return { ok: false, problems };
  const sources = new Map(readings.map((reading) => [reading.variable.name, reading.source]));
  return { ok: true, settings, sources, warnings };
}

/** Like loadSettings, with each variable's reading, also when there are problems. */
export function readConfiguration(env: Environment, cwd: string | null): Configuration {
  const { found, problems: fileProblems } = collect(env, cwd);
  const problems = [...fileProblems];
  const traceFaults: string[] = [];
  const readings: Reading[] = [];
  const read = (variable: Variable<unknown>): unknown => {
    const name = [variable.name, ...variable.aliases].find((candidate) => found.has(candidate)) ?? variable.name;
    const hit = found.get(name);
    const result = hit === undefined ? good(variable.default) : variable.parse(hit.text);
    readings.push({ variable, source: hit?.source ?? 'default', result });
    if (result.ok) return result.value;
    // The seed's own messages already begin with the name (spec 01 §7.7).
    const named = result.problem.startsWith(variable.name);
    const problem = named ? result.problem : `${name}: ${result.problem}`;
    (name.startsWith(OTEL_PREFIX) ? traceFaults : problems).push(problem);
    return variable.default;
  };
  // The tree of declarations has the shape of RawSettings by its type, so what reads every leaf of it has too.
  const raw = fill(variables, read) as RawSettings;
  // Set for other programs of the machine as well: what they mean there is no mistake of ours while nothing is traced.
  if (!tracesOff(raw.traces)) problems.push(...traceFaults);
  if (problems.length === 0) problems.push(...conflicts(raw));
  const known = listVariables().flatMap((variable) => [variable.name, ...variable.aliases]);
  const unknown = [...found]
    .filter(([key]) => key.startsWith(PREFIX) && !known.includes(key) && !READ_ELSEWHERE.includes(key))
    .map(([key, { name, source }]) => ({ name, source, suggestion: closestName(key, known) }));
  const warnings = listVariables().flatMap((variable) => overruled(variable, found));
  return { readings, unknown, problems, warnings, settings: problems.length === 0 ? finished(raw) : null };
}

/** Names of a variable that are set and lose against another of its names that says something else; never what they say. */
function overruled(variable: Variable<unknown>, found: ReadonlyMap<string, Found>): readonly string[] {
  const [winner, ...losers] = [variable.name, ...variable.aliases].flatMap((name) => {
    const hit = found.get(name);
    return hit === undefined ? [] : [{ name, hit }];
  });
  if (winner === undefined) return [];
  const meaning = ({ text }: Found): string => {
    const result = variable.parse(text);
    return result.ok ? JSON.stringify(result.value) : `unreadable: ${text}`;
  };
  return losers
    .filter(({ hit }) => meaning(hit) !== meaning(winner.hit))
    .map(
      ({ name, hit }) =>
        `${name} (${hit.source}) is ignored: ${winner.name} (${winner.hit.source}) is set to another value`,
    );
}

function fill(tree: object, read: (variable: Variable<unknown>) => unknown): object {
  return Object.freeze(
    Object.fromEntries(
      Object.entries(tree).map(([key, node]: [string, object]) => [
        key,
        isVariable(node) ? read(node) : fill(node, read),
      ]),
    ),
  );
}

/** What wire vintage `2026-08` keeps of a run's events by default (spec 01 §7.7). */
const EVENTS_OF_2026_08 = 5000;

function finished({ redisUrl, storeUrl, textDeltaCoalescing, eventStream, traces, ...rest }: RawSettings): Settings {
  const newer = rest.wireVintage === '2026-08';
  return Object.freeze({
    ...rest,
    storeUrl: storeUrl ?? redisUrl,
    storeUrlVariable: storeUrl === null ? 'DIFY_AGENT_REDIS_URL' : 'DIFY_AGENT_STORE_URL',
    textDeltaCoalescing: Object.freeze({
      ...textDeltaCoalescing,
      enabled: textDeltaCoalescing.enabled ?? newer,
    }),
    eventStream: Object.freeze({
      ...eventStream,
      maxEvents: eventStream.maxEvents ?? (newer ? EVENTS_OF_2026_08 : null),
    }),
    traces: traceSettings(traces),
  });
}

/** The rules between variables: texts and order of spec 01 §7.7 and 05 §1. */
function conflicts(raw: RawSettings): string[] {
  return [...accessProblems(raw), ...stubConflicts(raw), ...traceProblems(raw.traces)];
}
