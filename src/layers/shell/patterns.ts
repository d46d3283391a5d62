// Regular expressions whose matches must not be seen (spec 04 §2.9), in RE2's syntax and in linear time per match. Their number,
// size and the time that they may take are bounded. The engine is loaded when the first pattern comes.

import { CodedError } from '../../base/errors.ts';
import type { Span } from './spans.ts';

/** Instructions of one compiled pattern, and of all of a run: what a match costs per character. */
const MAX_PROGRAM = 1000;
const MAX_PROGRAMS = 4000;

/**
 * Milliseconds that all patterns may take on one output. Each match is linear, but thousands of matches that each look far
 * ahead are not; the clock is read between them, and between patterns.
 */
const MAX_MATCHING_MS = 200;

/** Output whose matching took too long: it is not shown. */
export class RedactionCostError extends CodedError {
  constructor() {
    super(
      'redaction_cost',
      'The output is withheld: the redaction patterns take too long on it. Print less, or write it to a file and read parts of it.',
    );
  }
}

/** Compiled patterns. */
export interface RedactPatterns {
  /** How many. */
  readonly count: number;
  /** Matches that are not empty, per pattern in order. @throws RedactionCostError */
  matches(text: string): readonly Span[];
}

/** A list of patterns and the name that texts give it. */
export interface PatternSource {
  readonly name: string;
  readonly patterns: readonly string[];
}

const NONE: RedactPatterns = { count: 0, matches: () => [] };

/** Compiles lists of patterns to one. Rejects with CodedError `redact_pattern`, which names the pattern by its place. */
export async function compileRedactPatterns(...sources: readonly PatternSource[]): Promise<RedactPatterns> {
  if (sources.every(({ patterns }) => patterns.length === 0)) return NONE;
  const { RE2JS } = await import('re2js');
  const compile = (pattern: string, where: string) => {
    try {
      return RE2JS.compile(RE2JS.translateRegExp(pattern));
    } catch {
      // The pattern itself is not repeated: it may spell a secret.
      throw refused(where, 'is not a regular expression that can be matched in linear time (RE2 syntax)');
    }
  };
  let total = 0;
  const programs = sources.flatMap(({ name, patterns }) =>
    patterns.map((pattern, i) => {
      const where = `${name}[${i}]`;
      const counted = countedRepeats(pattern);
      // Before it is compiled: a thousand characters of `a{1000}` are 140,000 instructions, which hold everybody up.
      if (counted > MAX_PROGRAM) throw tooLarge(where, `more than ${MAX_PROGRAM}`);
      const program = compile(pattern, where);
      const size = program.programSize();
      total += size;
      if (size > MAX_PROGRAM) throw tooLarge(where, String(size));
      if (total > MAX_PROGRAMS)
        throw refused(where, `is one too many: all patterns together may have ${MAX_PROGRAMS} instructions`);
      return program;
    }),
  );
  return {
    count: programs.length,
    matches(text) {
      const started = performance.now();
      const found: Span[] = [];
      for (const program of programs) {
        const matcher = program.matcher(text);
        while (matcher.find()) {
          const span = { start: matcher.start(), end: matcher.end() };
          if (span.end > span.start) found.push(span);
          if (performance.now() - started > MAX_MATCHING_MS) throw new RedactionCostError();
        }
        // One that finds nothing has looked at everything, too.
        if (performance.now() - started > MAX_MATCHING_MS) throw new RedactionCostError();
      }
      return found;
    },
  };
}

/** How often counted repetitions repeat something, all together: a program has at least so many instructions. */
function countedRepeats(pattern: string): number {
  let sum = 0;
  for (const [, least = '0', most = ''] of pattern.matchAll(/(?<!\\)\{(\d+)(?:,(\d*))?\}/g)) {
    sum += Math.max(Number(least), Number(most));
  }
  return sum;
}

function tooLarge(where: string, size: string): CodedError {
  return refused(where, `is too large: ${size} instructions, at most ${MAX_PROGRAM}`);
}

function refused(where: string, why: string): CodedError {
  return new CodedError('redact_pattern', `${where} ${why}.`);
}
