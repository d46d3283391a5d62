import { describe, expect, test } from 'bun:test';
import { DaemonRejection } from '../../../src/peers/plugin-daemon/errors.ts';
import { createItemReader } from '../../../src/peers/plugin-daemon/items.ts';
import { stringifyJson } from '../../../src/wiretext/json.ts';

function read(lines: readonly string[], options = {}): unknown[] {
  const reader = createItemReader(options);
  const out: unknown[] = [];
  for (const line of lines) reader.line(line, out);
  reader.end(out);
  return out;
}

function faultOf(lines: readonly string[]): string {
  try {
    read(lines);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'no error';
}

const ok = (data: unknown) => JSON.stringify({ code: 0, message: 'success', data });

describe('items', () => {
  test('are the data of `data:` lines, with or without a blank after the colon', () => {
    expect(read([`data: ${ok({ n: 1 })}`, '', `data:${ok({ n: 2 })}`, ''])).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test('may be bare JSON lines', () => {
    expect(read([ok(1), `  ${ok(2)}  `, ''])).toEqual([1, 2]);
  });

  test('are not disturbed by comments, other fields and blank lines', () => {
    const lines = [': ping', 'event: message', 'id: 7', 'retry: 10', '', '  ', `data: ${ok('x')}`, ''];
    expect(read(lines)).toEqual(['x']);
  });

  test('may be spread over several data lines', () => {
    expect(read(['data: {"code":0,', 'data: "message":"",', 'data: "data":5}', ''])).toEqual([5]);
    expect(read(['data: {"code":0,', 'data: "message":"","data":5}'])).toEqual([5]);
  });

  test('on consecutive data lines are items of their own, as the reference reads them', () => {
    expect(read([`data: ${ok(1)}`, `data: ${ok(2)}`])).toEqual([1, 2]);
  });

  test('succeed with a numeric code as text and any message', () => {
    expect(read(['data: {"code":"0","message":"","data":[1]}'])).toEqual([[1]]);
  });

  test('keep exact numbers and key order when asked to', () => {
    const [value] = read(['data: {"code":0,"message":"","data":{"2":1.0,"1":12345678901234567890}}'], {
      exactNumbers: true,
    });
    expect(stringifyJson(value)).toBe('{"2":1.0,"1":12345678901234567890}');
  });

  test('without data are an error', () => {
    expect(faultOf(['data: {"code":0,"message":"success","data":null}'])).toBe(
      'Plugin daemon returned an empty stream item',
    );
    expect(faultOf(['data: {"code":0,"message":"success"}'])).toBe('Plugin daemon returned an empty stream item');
  });

  test('that are no JSON are worded as pydantic words them', () => {
    expect(faultOf(['data: {nope', ''])).toBe(
      "1 validation error for PluginDaemonBasicResponse\n  Invalid JSON: key must be a string at line 1 column 2 [type=json_invalid, input_value='{nope', input_type=str]\n    For further information visit https://errors.pydantic.dev/2.12/v/json_invalid",
    );
    expect(faultOf(['hello'])).toContain('Invalid JSON: expected value at line 1 column 1');
    expect(faultOf(['data: {nope'])).toContain('key must be a string');
  });

  test('with a lone surrogate are refused, with a pair they are not', () => {
    expect(faultOf(['data: {"code":0,"message":"","data":"\\ud83dz"}'])).toContain('Invalid JSON');
    expect(read(['data: {"code":0,"message":"","data":"\\ud83d\\ude00"}'])).toEqual(['😀']);
  });

  test('that are no envelopes name the fault', () => {
    expect(faultOf(['data: {"code":0,"data":{}}'])).toContain('message\n  Field required [type=missing');
    expect(faultOf(['data: {"code":"abc","message":"","data":{}}'])).toContain(
      'code\n  Input should be a valid integer',
    );
    expect(faultOf(['data: [1]'])).toStartWith('1 validation error for PluginDaemonBasicResponse');
    expect(faultOf(['data: 5'])).toStartWith('1 validation error for PluginDaemonBasicResponse');
  });

  test('with another code are rejections with what the daemon said', () => {
    const inner = JSON.stringify({ error_type: 'InvokeRateLimitError', message: 'slow' });
    const message = JSON.stringify({ error_type: 'PluginInvokeError', message: inner });
    try {
      read([`data: ${JSON.stringify({ code: -500, message, data: null })}`]);
      throw new Error('nothing was thrown');
    } catch (error) {
      expect(error).toBeInstanceOf(DaemonRejection);
      expect(error).toMatchObject({
        facts: { httpStatus: null, envelopeCode: -500, pair: { errorType: 'InvokeRateLimitError', message: 'slow' } },
      });
    }
  });

  test('before a bad one in the same read are not lost', () => {
    const reader = createItemReader();
    const out: unknown[] = [];
    reader.line(`data: ${ok('first')}`, out);
    expect(() => reader.line('nope', out)).toThrow();
    expect(out).toEqual(['first']);
  });

  test('spread over lines are no longer than a line may be', () => {
    const line = `data: "${'x'.repeat(1024 * 1024)}`;
    expect(faultOf(new Array<string>(9).fill(line))).toBe('Plugin daemon sent a line longer than 8388608 characters');
  });

  test('nested without end do not exhaust the stack', () => {
    expect(faultOf([`data: {"code":0,"message":"","data":${'['.repeat(200_000)}`, ''])).toContain('Invalid JSON');
  });
});
