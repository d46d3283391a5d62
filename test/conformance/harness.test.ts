// The harness itself, without a server: the reader keeps what it must, the comparison sees what it must, and the
// recorded traces satisfy the strict client that ours are read with.

import { describe, expect, test } from 'bun:test';
import { compact, readJson } from '../support/json-nodes.ts';
import { SseParser } from '../support/sse.ts';
import { Matcher } from './compare.ts';
import { waitsFor } from './coverage.ts';
import { goText, loadScenarios } from './fixtures.ts';
import { BAD_QUESTIONS, GOOD_QUESTIONS } from './own-wording.ts';

const differences = (recorded: string, ours: string, sent = ''): string[] => {
  const matcher = new Matcher();
  matcher.sent = sent;
  return matcher.compare(readJson(recorded), readJson(ours));
};

describe('reading JSON', () => {
  test('keeps number texts, key order and source texts', () => {
    const text = '{"b": [1.0, 12345678901234567890, -0e5], "1": "\\u00e9", "a": {"x": null}}';
    const node = readJson(text);
    expect(goText(node)).toBe('{"b":[1.0,12345678901234567890,-0e5],"1":"é","a":{"x":null}}');
    expect(node.source).toBe(text);
  });

  test('refuses what is not JSON', () => {
    for (const text of ['', '{', '[1,]', '{"a" 1}', '01', '"\n"', 'nul', '1 2']) {
      expect(() => readJson(text)).toThrow(SyntaxError);
    }
  });
});

describe('comparing', () => {
  test('number texts, key order, escapes, lengths and values count', () => {
    expect(differences('{"a":1.0}', '{"a":1}')).toHaveLength(1);
    expect(differences('{"a":1,"b":2}', '{"b":2,"a":1}')).toHaveLength(1);
    expect(differences('"é"', '"\\u00e9"')).toHaveLength(1);
    expect(differences('[1,2]', '[1]')).toHaveLength(1);
    expect(differences('[1]', '[1,2]')).toHaveLength(1);
    expect(differences('{"a":null}', '{}')).toHaveLength(1);
    expect(differences('{"a":[true,"x"]}', '{"a":[true,"x"]}')).toEqual([]);
  });

  test('ids map one to one; times and ports are free', () => {
    const id = (digit: string) => `${digit.repeat(8)}-1111-4111-8111-111111111111`;
    expect(differences(`["${id('a')}","${id('a')}"]`, `["${id('b')}","${id('b')}"]`)).toEqual([]);
    expect(differences(`["${id('a')}","${id('a')}"]`, `["${id('b')}","${id('c')}"]`)).toHaveLength(1);
    expect(differences(`["${id('a')}","${id('b')}"]`, `["${id('c')}","${id('c')}"]`)).toHaveLength(1);
    expect(differences('"2026-11-20T16:04:22.114789Z 127.0.0.1:1"', '"2026-11-21T16:04:22Z 127.0.0.1:2"')).toEqual([]);
    expect(differences('"2026-11-20T16:04:22.114789Z"', '"2026-11-21T16:04:22.114Z"')).toHaveLength(1);
  });

  test('what was sent must come back unchanged', () => {
    const time = '2026-11-20T16:04:22.114789Z';
    expect(differences(`"${time}"`, '"2026-11-20T16:04:22.114000Z"', `{"t":"${time}"}`)).toHaveLength(1);
  });

  test('input values are masked in configuration errors, not in errors about the daemon', () => {
    const text = (name: string, value: string) =>
      `"1 validation error for ${name}\\nx [input_value=${value}, input_type=str]"`;
    expect(differences(text('PromptLayerConfig', "'a'"), text('PromptLayerConfig', '…'))).toEqual([]);
    expect(differences(text('LLMResultChunk', "'a'"), text('LLMResultChunk', '…'))).toHaveLength(1);
  });
});

describe('what is ours to word', () => {
  const fault = (mask: string, ours: string) => differences(JSON.stringify(mask), ours);
  const SCHEMA = '<own wording: any schema equivalent to spec 02 §10.2>';

  test('must be there, whatever it says', () => {
    expect(fault('<own wording: stock description>', '"Asks a person."')).toEqual([]);
    expect(fault('<own wording: stock description>', '" "')).toHaveLength(1);
    expect(fault('<own wording: ask_human guidance>', '"Ask."')).toHaveLength(1);
    expect(fault('<own wording: something else>', '"x"')).toHaveLength(1);
  });

  test('or, for a schema, must accept and refuse the same', () => {
    expect(fault(SCHEMA, '{}')).toHaveLength(BAD_QUESTIONS.length);
    expect(fault(SCHEMA, 'false')).toHaveLength(1);
    expect(fault(SCHEMA, '{"not":{}}')).toHaveLength(GOOD_QUESTIONS.length);
  });
});

/** The reference writes these raw, and breaks its own client (spec 01 §8.3). */
const LINE_BREAKS = /[\u0085\u2028\u2029]/;

describe('the recorded traces', () => {
  const scenarios = loadScenarios();

  test('are all there', () => expect(scenarios).toHaveLength(181));

  test('their frames satisfy the strict client', () => {
    for (const scenario of scenarios) {
      for (const frame of scenario.steps.flatMap((step) => step.firstFrames)) {
        if (LINE_BREAKS.test(frame)) continue;
        const parser = new SseParser();
        expect(parser.feed(frame)).toMatchObject([{ raw: frame }]);
        parser.end();
      }
    }
  });

  test('their events satisfy the strict client', () => {
    for (const scenario of scenarios) {
      for (const event of scenario.steps.flatMap((step) => step.events)) {
        if (LINE_BREAKS.test(event.source)) continue;
        const { id, type } = JSON.parse(event.source) as { id: string; type: string }; // an event
        new SseParser().feed(`id: ${id}\nevent: ${type}\ndata: ${compact(event)}\n\n`);
      }
    }
  });

  test('every one is replayed or waits for a known issue', () => {
    const unknown = scenarios.filter((scenario) => waitsFor(scenario)?.issue === 'unknown');
    expect(unknown.map((scenario) => scenario.name)).toEqual([]);
  });
});
