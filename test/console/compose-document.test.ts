// The document that the compose screen edits: text and tree without loss, syntax faults with their places, changes.

import { describe, expect, test } from 'bun:test';
import { at, moved, type Node, number, object, print, put, quoted, text } from '../../src/console/compose/document.ts';
import { MAX_DEPTH, nodeOf, placeOf, plainOf, readJson } from '../../src/console/compose/reader.ts';

function read(source: string): Node {
  const { root, fault } = readJson(source);
  if (root === null) throw new Error(fault.message);
  return root;
}

/** `line:column message` of what is wrong. */
function faultOf(source: string): string {
  const { fault } = readJson(source);
  if (fault === null) return '';
  const { line, column } = placeOf(source, fault.offset);
  return `${line}:${column} ${fault.message}`;
}

describe('text and tree', () => {
  test('numbers keep their text, keys their order, twins stay two', () => {
    const source =
      '{"b":1.0,"10":1e5,"2":-0,"a":[12345678901234567890,0.10000000000000000001],"b":2,"__proto__":{"x":null}}';
    expect(JSON.stringify(plainOf(read(source)))).toBe(
      '{"2":-0,"10":1e5,"b":2,"a":[12345678901234567890,0.10000000000000000001],"__proto__":{"x":null}}',
    );
    const printed = print(read(source));
    expect(printed.replace(/\s/g, '')).toBe(source);
    expect(print(read(printed))).toBe(printed);
  });

  test('texts come back, whatever is in them; what is hidden is written as escapes', () => {
    const nasty = 'a"\\\b\f\n\r\t\0\u007f\u2028\u202e\ufeff\u{e0041}😀\ud800 é</script>';
    expect(JSON.parse(quoted(nasty))).toBe(nasty);
    expect(quoted(nasty)).not.toMatch(/[\u202e\u2028\ufeff\u007f]|\u{e0041}/u);
    expect(plainOf(read(quoted(nasty)))).toBe(nasty);
  });

  test('a value of the language becomes a tree with the texts of its numbers', () => {
    const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }; // newer than the language's types
    expect(print(nodeOf({ n: rawJSON('9007199254740993'), list: [] }))).toBe(
      '{\n  "n": 9007199254740993,\n  "list": []\n}',
    );
    expect(print(nodeOf(undefined))).toBe('null');
  });

  test('every node knows where it stands', () => {
    const source = '{\n  "layers": [ {"name": "a"}, 12.50 ]\n}';
    const root = read(source);
    const span = (...path: readonly (string | number)[]) => {
      const node = at(root, path);
      return node === undefined ? '' : source.slice(node.start, node.end);
    };
    expect(span('layers', 1)).toBe('12.50');
    expect(span('layers', 0)).toBe('{"name": "a"}');
    expect(span('layers', 0, 'name')).toBe('"a"');
    expect(at(root, ['layers', 'name'])).toBeUndefined();
  });
});

describe('a text that is no JSON', () => {
  test.each([
    ['', '1:1 There is nothing here yet.'],
    ['{"a": 1,\n "b": }', '2:7 A value is missing here.'],
    ['{"a": 1 "b": 2}', '1:9 “,” or “}” is missing here.'],
    ['{\n  "a" 1\n}', '2:7 “:” is missing after the key.'],
    ['[1, 2,]', '1:7 No comma may stand before “]”.'],
    ['{"a": 1,}', '1:9 No comma may stand before “}”.'],
    ["{'a': 1}", '1:2 A key in double quotes is missing here.'],
    ["['a']", '1:2 A text must be in double quotes.'],
    ['[abc]', '1:2 A text must be in double quotes: "abc".'],
    ['[True]', '1:2 A text must be in double quotes: "True".'],
    ['["abc', '1:2 This text has no closing quote.'],
    ['["a\nb"]', '1:4 A text must not go over lines: write \\n.'],
    ['["a\tb"]', '1:4 A control character must be written as an escape: \\t, \\u0000.'],
    ['["\\x41"]', '1:3 JSON has no such escape.'],
    ['[01]', '1:2 This is not how JSON writes a number.'],
    ['[1.]', '1:2 This is not how JSON writes a number.'],
    ['[+1]', '1:2 A value is missing here.'],
    ['[1] 2', '1:5 Nothing may follow the end of the JSON.'],
    ['// no\n1', '1:1 JSON has no comments.'],
    ['[1, // no\n2]', '1:5 JSON has no comments.'],
  ])('%j', (source, expected) => {
    expect(faultOf(source)).toBe(expected);
    expect(() => JSON.parse(source)).toThrow();
  });

  test('nesting is bounded, without an overflow', () => {
    expect(faultOf('['.repeat(100_000))).toBe(`1:${MAX_DEPTH + 1} More than ${MAX_DEPTH} levels are not read here.`);
    expect(faultOf('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH))).toBe('');
  });

  test('a byte order mark and blanks are no part of it', () => {
    expect(print(read('\ufeff \n[ ]\r\n'))).toBe('[]');
  });
});

describe('changes', () => {
  const root = read('{"a":{"x":1.0,"y":[1,2,3]},"z":"old"}');

  test('leave everything else as it was', () => {
    const changed = put(put(root, ['z'], text('new')), ['a', 'y', 1], number('2.50'));
    expect(print(changed).replace(/\s/g, '')).toBe('{"a":{"x":1.0,"y":[1,2.50,3]},"z":"new"}');
    expect(print(root).replace(/\s/g, '')).toBe('{"a":{"x":1.0,"y":[1,2,3]},"z":"old"}');
  });

  test('remove, append and make what is missing on the way', () => {
    expect(print(put(root, ['a', 'y', 0], undefined)).replace(/\s/g, '')).toContain('"y":[2,3]');
    expect(print(put(root, ['a'], undefined))).toBe('{ "z": "old" }');
    expect(print(put(root, ['a', 'y', 99], text('end'))).replace(/\s/g, '')).toContain('"y":[1,2,3,"end"]');
    expect(print(put(object([]), ['p', 'q'], text('v'))).replace(/\s/g, '')).toBe('{"p":{"q":"v"}}');
  });

  test('of twins the last one is changed; removing takes both', () => {
    const twins = read('{"a":1,"b":0,"a":2}');
    expect(print(put(twins, ['a'], number('3')))).toBe('{ "a": 1, "b": 0, "a": 3 }');
    expect(print(put(twins, ['a'], undefined))).toBe('{ "b": 0 }');
  });

  test('an item moves', () => {
    const items = ['a', 'b', 'c'].map(text);
    expect(moved(items, 0, 2).map((item) => print(item))).toEqual(['"b"', '"c"', '"a"']);
  });
});
