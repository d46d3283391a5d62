// Compares recorded JSON with ours, text by text: key order, number texts and string escapes count. Ids, times, ports
// and the version in pydantic's URLs are matched up instead (fixtures README); ids must map one to one, and whatever
// the request itself contained must come back unchanged.

import type { JsonNode } from '../support/json-nodes.ts';
import { checkOwnWording } from './own-wording.ts';

/** What is masked before two texts are compared. Each match is recorded as a token. */
const TOKENS =
  /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|pyd_ai_[0-9a-f]{32}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z|\b\d{13}-\d+\b|127\.0\.0\.1:\d+/g;
/** `2.13` in the traces is the recorder's pydantic; the target's lock has 2.12 (spec README, corrections). */
const PYDANTIC_URL = /errors\.pydantic\.dev\/2\.\d+\//g;
/** Ours hides the value (spec README "Better on purpose", 02 §14.5). */
const INPUT_VALUE = /input_value=[\s\S]*?, input_type=/g;
/** Errors about what the daemon sent keep the value: it is not configuration. */
const DAEMON_CLASSES = /validation errors? for (?:LLMResultChunk|PluginDaemonBasicResponse)\b/;

/** Pairs recorded ids with ours; one per scenario. */
export class Matcher {
  readonly #ours = new Map<string, string>();
  readonly #recorded = new Map<string, string>();
  /** Everything that was sent: what it contains may not change on the way. */
  sent = '';

  /** The differences between two values, as `path: recorded ≠ ours` lines; empty when they agree. */
  compare(recorded: JsonNode, ours: JsonNode, path = '$'): string[] {
    if (recorded.kind === 'string' && recorded.value.startsWith('<own wording')) {
      return checkOwnWording(recorded.value, ours).map((fault) => `${path}: ${fault}`);
    }
    if (recorded.kind !== ours.kind) return [`${path}: ${short(recorded.source)} ≠ ${short(ours.source)}`];
    if (recorded.kind === 'object' && ours.kind === 'object') return this.#objects(recorded, ours, path);
    if (recorded.kind === 'array' && ours.kind === 'array') {
      const differences = recorded.items.flatMap((item, index) => {
        const other = ours.items[index];
        return other === undefined
          ? [`${path}[${index}]: missing ${short(item.source)}`]
          : this.compare(item, other, `${path}[${index}]`);
      });
      const extra = ours.items.slice(recorded.items.length).map((item) => `${path}: additional ${short(item.source)}`);
      return [...differences, ...extra];
    }
    return this.compareText(recorded.source, ours.source, path);
  }

  /** As `compare`, for source texts that are not JSON containers. */
  compareText(recorded: string, ours: string, path: string): string[] {
    if (recorded === ours) return [];
    const expected = mask(recorded);
    const actual = mask(ours);
    if (expected.text !== actual.text) {
      return [
        `${path}: ${short(recorded, firstDifference(expected.text, actual.text))} ≠ ${short(ours, firstDifference(expected.text, actual.text))}`,
      ];
    }
    return expected.tokens.flatMap((token, index) => this.#pair(token, actual.tokens[index] ?? '', path));
  }

  #objects(
    recorded: Extract<JsonNode, { kind: 'object' }>,
    ours: Extract<JsonNode, { kind: 'object' }>,
    path: string,
  ): string[] {
    const expected = recorded.entries.map(([key]) => key);
    const actual = ours.entries.map(([key]) => key);
    const keys =
      expected.join('\0') === actual.join('\0') ? [] : [`${path}: keys ${expected.join(',')} ≠ ${actual.join(',')}`];
    const values = recorded.entries.flatMap(([key, value]) => {
      const other = ours.entries.find(([name]) => name === key)?.[1];
      return other === undefined ? [] : this.compare(value, other, `${path}.${key}`);
    });
    return [...keys, ...values];
  }

  #pair(recorded: string, ours: string, path: string): string[] {
    if (recorded === ours || recorded.startsWith('127.')) return [];
    if (this.sent.includes(recorded)) return [`${path}: ${recorded} was sent and came back as ${ours}`];
    if (recorded.includes('T')) return [];
    const known = this.#ours.get(recorded);
    const back = this.#recorded.get(ours);
    if (known === undefined && back === undefined) {
      this.#ours.set(recorded, ours);
      this.#recorded.set(ours, recorded);
      return [];
    }
    return known === ours ? [] : [`${path}: ${recorded} is ${known ?? 'new'} elsewhere, here ${ours}`];
  }
}

function mask(text: string): { readonly text: string; readonly tokens: readonly string[] } {
  const tokens: string[] = [];
  const urls = text.replace(PYDANTIC_URL, 'errors.pydantic.dev/<version>/');
  const values = DAEMON_CLASSES.test(urls) ? urls : urls.replace(INPUT_VALUE, 'input_value=<masked>, input_type=');
  const masked = values.replace(TOKENS, (token) => {
    tokens.push(token);
    return token.startsWith('pyd_ai')
      ? '<call>'
      : token.includes('T')
        ? '<time>'
        : token.includes(':')
          ? '<port>'
          : '<id>';
  });
  return { text: masked, tokens };
}

function firstDifference(a: string, b: string): number {
  let index = 0;
  while (index < a.length && a[index] === b[index]) index += 1;
  return index;
}

function short(text: string, around = 0): string {
  const start = Math.max(0, Math.min(around, text.length) - 60);
  const cut = text.slice(start, start + 240);
  return `${start > 0 ? '…' : ''}${cut}${start + 240 < text.length ? '…' : ''}`;
}
