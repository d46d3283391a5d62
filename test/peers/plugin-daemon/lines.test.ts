import { describe, expect, test } from 'bun:test';
import { createLineReader } from '../../../src/peers/plugin-daemon/lines.ts';

function linesOf(pieces: readonly (string | Uint8Array)[], maxLength?: number): readonly string[] {
  const reader = createLineReader(maxLength);
  const out: string[] = [];
  for (const piece of pieces) reader.push(typeof piece === 'string' ? Buffer.from(piece) : piece, out);
  reader.end(out);
  return out;
}

describe('lines', () => {
  test('end at LF and CRLF, and only there', () => {
    expect(linesOf(['a\nb\r\nc\u0085d\u2028e\u000bf\u001cg\n'])).toEqual(['a', 'b', 'c\u0085d\u2028e\u000bf\u001cg']);
  });

  test('may be split anywhere between reads, also between CR and LF', () => {
    expect(linesOf(['da', 'ta', ': x\r', '\n\r\ny'])).toEqual(['data: x', '', 'y']);
  });

  test('keep characters whose bytes arrive in different reads', () => {
    const bytes = Buffer.from('æ€😀\n');
    expect(linesOf([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(['æ€😀']);
  });

  test('without an end count when the body is over', () => {
    expect(linesOf(['x\ny'])).toEqual(['x', 'y']);
    expect(linesOf(['x\n'])).toEqual(['x']);
    expect(linesOf([])).toEqual([]);
  });

  test('bytes that are not UTF-8 become replacement characters instead of ending the stream', () => {
    expect(linesOf([Uint8Array.of(0x61, 0xff, 0x0a)])).toEqual(['a\ufffd']);
  });

  test('longer than the limit are refused, whether or not their end has come', () => {
    expect(linesOf(['12345678\n'], 8)).toEqual(['12345678']);
    expect(() => linesOf(['123456789\n'], 8)).toThrow('longer than 8 characters');
    expect(() => linesOf(['12345', '6789'], 8)).toThrow('longer than 8 characters');
  });

  test('before a line that is too long are still handed out', () => {
    const reader = createLineReader(4);
    const out: string[] = [];
    expect(() => reader.push(Buffer.from('ok\n12345\n'), out)).toThrow();
    expect(out).toEqual(['ok']);
  });

  test('of a megabyte in small reads cost linear time', () => {
    const reader = createLineReader();
    const out: string[] = [];
    const piece = Buffer.alloc(64, 'x');
    const start = performance.now();
    for (let i = 0; i < 64 * 1024; i++) reader.push(piece, out);
    reader.end(out);
    expect(out[0]).toHaveLength(4 * 1024 * 1024);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});
