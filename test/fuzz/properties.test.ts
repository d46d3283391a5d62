// What must not depend on how bytes happen to be cut: the splitter of thinking, the framing reader, the joining of tool
// calls; and what must survive reading and writing: JSON. (Schema inlining: test/jsonschema; casting: test/layers/plugin-tools.)

import { describe, expect, test } from 'bun:test';
import type { ModelDelta } from '../../src/agent/model.ts';
import { createThinkSplitter } from '../../src/models/think-splitter.ts';
import { createToolCallJoiner } from '../../src/models/tool-call-joiner.ts';
import { createItemReader } from '../../src/peers/plugin-daemon/items.ts';
import { createLineReader } from '../../src/peers/plugin-daemon/lines.ts';
import { parseJson, stringifyJson } from '../../src/wiretext/json.ts';
import { eventText, success } from '../fakes/daemon-script.ts';
import { type JsonNode, readJson } from '../support/json-nodes.ts';
import { cutBytes, cutText, type Random, randomJson, randomObject, randomText, seeded } from './random.ts';

const CASES = 2_000;

function forCases(check: (random: Random, seed: number) => void): void {
  for (let seed = 1; seed <= CASES; seed += 1) check(seeded(seed), seed);
}

describe('the splitter of thinking', () => {
  function split(pieces: readonly string[]): readonly string[] {
    const splitter = createThinkSplitter();
    const out: ModelDelta[] = [];
    for (const piece of pieces) splitter.push(piece, out);
    splitter.flush(out);
    // Neighbours of one kind are one part; how many deltas they come in is free.
    const parts: [kind: string, text: string][] = [];
    for (const delta of out) {
      if (delta.kind !== 'text' && delta.kind !== 'thinking') throw new Error(`a delta of kind ${delta.kind}`);
      if (delta.text === '') throw new Error('an empty delta');
      const last = parts.at(-1);
      if (last?.[0] === delta.kind) last[1] += delta.text;
      else parts.push([delta.kind, delta.text]);
    }
    return parts.map(([kind, text]) => `${kind}:${text}`);
  }

  test('finds the same however the text is cut', () => {
    forCases((random, seed) => {
      const text = randomText(random, 12);
      expect({ seed, parts: split(cutText(random, text)) }).toEqual({ seed, parts: split([text]) });
      expect({ seed, parts: split([...text]) }).toEqual({ seed, parts: split([text]) });
    });
  });

  test('loses nothing but its tags', () => {
    forCases((random, seed) => {
      const text = randomText(random, 12);
      const joined = split([text])
        .map((part) => part.slice(part.indexOf(':') + 1))
        .join('');
      const removed = (text.length - joined.length) / '<think>'.length;
      expect({ seed, ok: joined.length <= text.length && removed < 12 }).toEqual({ seed, ok: true });
      if (!text.includes('<think>')) expect({ seed, joined }).toEqual({ seed, joined: text });
    });
  });
});

describe('the framing reader', () => {
  function read(pieces: readonly Uint8Array[]): readonly unknown[] {
    const lines = createLineReader();
    const items = createItemReader({ exactNumbers: true });
    const out: unknown[] = [];
    const take = (more: string[]) => {
      for (const line of more.splice(0)) items.line(line, out);
    };
    const found: string[] = [];
    for (const piece of pieces) {
      lines.push(piece, found);
      take(found);
    }
    lines.end(found);
    take(found);
    items.end(out);
    return out.map((item) => stringifyJson(item));
  }

  test('reads the same items however the bytes are cut', () => {
    forCases((random, seed) => {
      const items = random.some(5, () => ({ text: randomText(random), n: random.int(10) }));
      const noise = () => random.pick(['', '', ': ping\n', 'event: message\n', '\r\n', 'id: 1\n']);
      const text = items.map((item) => noise() + eventText(success(item))).join('');
      const bytes = Buffer.from(random.chance(0.3) ? text.trimEnd() : text);
      const expected = items.map((item) => JSON.stringify(item));
      expect({ seed, items: read(cutBytes(random, bytes, 20)) }).toEqual({ seed, items: expected });
    });
  });

  test('reads the same byte by byte', () => {
    const text = eventText(success({ text: '漢字🙂\u0085\u2028</think>' }));
    const bytes = Buffer.from(text + text);
    expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(read([bytes]));
  });
});

describe('the joining of tool calls', () => {
  function last(fragments: readonly { readonly id: unknown; readonly name: string; readonly args: string }[]) {
    const joiner = createToolCallJoiner(() => 'generated');
    const out: ModelDelta[] = [];
    for (const fragment of fragments) joiner.add(fragment, out);
    joiner.settle(out);
    return out.at(-1);
  }

  test('gives the whole arguments however they are cut, with the id repeated or left out', () => {
    forCases((random, seed) => {
      const args = randomObject(random);
      const [first = '', ...rest] = cutText(random, args);
      for (const id of [null, 'c1']) {
        const fragments = [{ id: 'c1', name: 'f', args: first }, ...rest.map((more) => ({ id, name: '', args: more }))];
        expect({ seed, delta: last(fragments) }).toMatchObject({
          seed,
          delta: { kind: 'tool_call', id: 'c1', name: 'f', args },
        });
      }
    });
  });
});

describe('JSON', () => {
  test('comes back as it was read: numbers, key order, characters', () => {
    forCases((random, seed) => {
      const text = randomJson(random, 5);
      const parsed = parseJson(text);
      const written = parsed.ok ? stringifyJson(parsed.value) : parsed.failure.kind;
      expect({ seed, written }).toEqual({ seed, written: canonical(readJson(text)) });
    });
  });
});

/** Number texts that Python writes differently: a float by its shortest digits, infinity as null (spec 06 §2). */
const AS_PYTHON: Readonly<Record<string, string>> = { '1e3': '1000.0', '-0': '0', '1e400': 'null' };

function canonical(node: JsonNode): string {
  if (node.kind === 'array') return `[${node.items.map(canonical).join(',')}]`;
  if (node.kind === 'object') {
    return `{${node.entries.map(([key, value]) => `${JSON.stringify(key)}:${canonical(value)}`).join(',')}}`;
  }
  return node.kind === 'number' ? (AS_PYTHON[node.text] ?? node.text) : node.source;
}
