// The frame reader on its own: where lines end, what a frame is, and what text cut anywhere makes of it.

import { describe, expect, test } from 'bun:test';
import { type Frame, FrameReader, FrameTooLargeError } from '../../src/client/sse.ts';

/** The frames of a text that arrives in these pieces. */
function framesOf(...pieces: readonly string[]): readonly Frame[] {
  const reader = new FrameReader();
  return pieces.flatMap((piece) => [...reader.push(piece)]);
}

const STREAM = ': hello\n\nid: 1-0\nevent: a\ndata: {"x":\ndata: 1}\n\nretry: 5\ndata:two\n\nid: 3-0\n\ndata: ende\n\n';
const FRAMES = [
  { id: '1-0', event: 'a', data: '{"x":\n1}' },
  { id: null, event: null, data: 'two' },
  { id: null, event: null, data: 'ende' },
];

describe('line ends', () => {
  test.each([
    ['LF', '\n'],
    ['CR', '\r'],
    ['CRLF', '\r\n'],
  ])('%s, in one piece and cut anywhere', (_, end) => {
    const text = STREAM.replaceAll('\n', end);
    expect(framesOf(text)).toEqual(FRAMES);
    for (let at = 0; at <= text.length; at++) expect(framesOf(text.slice(0, at), text.slice(at))).toEqual(FRAMES);
    expect(framesOf(...text)).toEqual(FRAMES);
  });

  test('mixed in one stream', () => {
    expect(framesOf('data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\r')).toEqual([
      { id: null, event: null, data: 'a\nb\nc' },
      { id: null, event: null, data: 'd' },
    ]);
  });

  test('a frame that ends in CR is handed out at once', () => {
    const reader = new FrameReader();
    expect(reader.push('data: a\r\r')).toHaveLength(1);
    expect(reader.push('\ndata: b\r\n\r')).toHaveLength(1);
    expect(reader.push('\n')).toEqual([]);
  });

  test.each(['\u0085', '\u2028', '\u2029', '\u000b', '\u000c', '\u001c'])('%j ends no line', (character) => {
    expect(framesOf(`data: a${character}b\n\n`)).toEqual([{ id: null, event: null, data: `a${character}b` }]);
  });
});

describe('fields', () => {
  test('one leading space is taken away, no more', () => {
    expect(framesOf('data:  a\nid:7\n\n')).toEqual([{ id: '7', event: null, data: ' a' }]);
  });

  test('comments, unknown fields and frames without data are dropped', () => {
    expect(framesOf(': keepalive\n\nfoo: bar\nevent: x\n\nretry\n\n')).toEqual([]);
  });

  test('a field without a colon is empty', () => {
    expect(framesOf('data\n\n')).toEqual([{ id: null, event: null, data: '' }]);
  });

  test('an id with NUL is ignored, and no frame inherits one', () => {
    expect(framesOf('id: a\0b\ndata: 1\n\nid: 2\ndata: 2\n\ndata: 3\n\n').map(({ id }) => id)).toEqual([
      null,
      '2',
      null,
    ]);
  });

  test('what was not ended by an empty line is no frame', () => {
    expect(framesOf('data: 1\n\ndata: 2\n')).toEqual([{ id: null, event: null, data: '1' }]);
  });
});

describe('size', () => {
  test('a frame of many megabytes in small pieces is read in linear time', () => {
    const reader = new FrameReader();
    const piece = 'x'.repeat(1024);
    reader.push('data: ');
    for (let i = 0; i < 32 * 1024; i++) reader.push(piece);
    expect(reader.push('\n\n')[0]?.data.length).toBe(32 * 1024 * 1024);
  });

  test.each([
    ['one endless line', () => 'x'.repeat(100)],
    ['endless lines of data', () => `data: ${'x'.repeat(93)}\n`],
    ['endless empty lines of data', () => 'data\n'.repeat(20)],
    ['an endless comment', () => `:${'x'.repeat(98)}\n`],
  ])('%s is refused', (_, next) => {
    const reader = new FrameReader(1_000);
    expect(() => {
      for (let i = 0; i < 12; i++) reader.push(next());
    }).toThrow(FrameTooLargeError);
  });

  test('many frames below the limit are not', () => {
    const reader = new FrameReader(1_000);
    for (let i = 0; i < 100; i++) expect(reader.push(`data: ${'x'.repeat(900)}\n\n`)).toHaveLength(1);
  });
});
