import { describe, expect, test } from 'bun:test';
import { createRunRequest } from '../../src/protocol/runs.ts';
import { jsonInvalidIssue, missingBodyIssue, printDetail } from '../../src/validation/fastapi.ts';
import type { Issue } from '../../src/validation/issue.ts';
import { invalidJsonIssue, printPydantic } from '../../src/validation/pydantic.ts';
import { parseQueryInt } from '../../src/validation/query.ts';
import { validate } from '../../src/validation/walker.ts';
import { parseJson } from '../../src/wiretext/json.ts';

const issuesOf = (text: string): readonly Issue[] => {
  const body = parseJson(text);
  if (!body.ok) throw new Error(text);
  const result = validate(createRunRequest, body.value, { mode: 'attributes' });
  return result.ok ? [] : result.issues;
};

describe('printDetail', () => {
  test('prints FastAPI’s body, keys in its order (spec 01 §1.3)', () => {
    const issues = issuesOf('{"composition":{"layers":[{"name":"prompt"}]},"user_prompt":"hi","n":1.0}');
    expect(printDetail(issues, ['body'])).toBe(
      '{"detail":[{"type":"missing","loc":["body","composition","layers",0,"type"],"msg":"Field required","input":{"name":"prompt"}},' +
        '{"type":"extra_forbidden","loc":["body","user_prompt"],"msg":"Extra inputs are not permitted","input":"hi"},' +
        '{"type":"extra_forbidden","loc":["body","n"],"msg":"Extra inputs are not permitted","input":1.0}]}',
    );
  });
  test('refuses what is no object, and an internal state', () => {
    expect(printDetail(issuesOf('[1]'), ['body'])).toBe(
      '{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}]}',
    );
    const snapshot = '{"layers":[{"name":"a","lifecycle_state":"active","runtime_state":{}}]}';
    expect(printDetail(issuesOf(`{"composition":{"layers":[]},"session_snapshot":${snapshot}}`), ['body'])).toBe(
      '{"detail":[{"type":"value_error","loc":["body","session_snapshot","layers",0,"lifecycle_state"],"msg":"Value error, LifecycleState.ACTIVE is internal-only and cannot appear in session snapshots.","input":"active","ctx":{"error":{}}}]}',
    );
  });
  test('prints malformed and missing bodies', () => {
    expect(printDetail([jsonInvalidIssue("Expecting ',' delimiter", 5)], ['body'])).toBe(
      `{"detail":[{"type":"json_invalid","loc":["body",5],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting ',' delimiter"}}]}`,
    );
    expect(printDetail([missingBodyIssue()], ['body'])).toBe(
      '{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}',
    );
  });
  test('a hostile body makes no giant answer', () => {
    const layers = '{},'.repeat(200_000);
    const printed = printDetail(issuesOf(`{"composition":{"layers":[${layers}1]}}`), ['body']);
    expect(printed.length).toBeLessThan(1_100_000);
    expect(JSON.parse(printed).detail.length).toBeGreaterThan(100);
  });
});

describe('printPydantic', () => {
  const issue: Issue = {
    type: 'string_type',
    loc: ['a', 0, 'b'],
    msg: 'Input should be a valid string',
    input: 'sk-1',
  };
  test('masks values when asked, but tells their type', () => {
    expect(printPydantic('PromptLayerConfig', [issue], { maskInput: true })).toBe(
      '1 validation error for PromptLayerConfig\na.0.b\n' +
        '  Input should be a valid string [type=string_type, input_value=<masked>, input_type=str]\n' +
        '    For further information visit https://errors.pydantic.dev/2.12/v/string_type',
    );
  });
  test('puts keys with a dot in backticks', () => {
    const issues = [{ type: 'extra_forbidden', loc: ['d', 'a.b', 0], msg: 'No', input: 1 }];
    expect(printPydantic('M', issues, { maskInput: false }).split('\n')[1]).toBe('d.`a.b`.0');
  });
  test('names no page for errors that Python code raises', () => {
    const issues = [{ type: 'sequence_str', loc: ['a'], msg: 'No', input: 'x' }];
    expect(printPydantic('M', issues, { maskInput: false })).toEndWith("input_value='x', input_type=str]");
  });
  test('has no location line at the root', () => {
    expect(
      printPydantic('X', [invalidJsonIssue('key must be a string at line 1 column 2', '{nope')], { maskInput: false }),
    ).toBe(
      "1 validation error for X\n  Invalid JSON: key must be a string at line 1 column 2 [type=json_invalid, input_value='{nope', input_type=str]\n" +
        '    For further information visit https://errors.pydantic.dev/2.12/v/json_invalid',
    );
  });
  test('counts all issues and prints a hundred', () => {
    const text = printPydantic('X', new Array(2000).fill(issue), { maskInput: true });
    expect(text).toStartWith('2000 validation errors for X\n');
    expect(text.split('\n').length).toBe(301);
  });
});

describe('parseQueryInt', () => {
  const limit = (query: string) =>
    parseQueryInt(new URLSearchParams(query), { name: 'limit', defaultValue: 100, ge: 1, le: 500 });
  test('reads lax ints, the last one winning', () => {
    expect(limit('')).toEqual({ ok: true, value: 100 });
    expect(limit('limit=5.0')).toEqual({ ok: true, value: 5 });
    expect(limit('limit=%205%20&limit=7')).toEqual({ ok: true, value: 7 });
  });
  test('tells what is wrong, with the text as input', () => {
    const printed = (query: string) => {
      const result = limit(query);
      return result.ok ? 'ok' : printDetail(result.issues, ['query']);
    };
    expect(printed('limit=501')).toBe(
      '{"detail":[{"type":"less_than_equal","loc":["query","limit"],"msg":"Input should be less than or equal to 500","input":"501","ctx":{"le":500}}]}',
    );
    expect(printed('limit=0')).toContain('"type":"greater_than_equal"');
    expect(printed('limit=')).toContain('"type":"int_parsing","loc":["query","limit"]');
    expect(printed('limit=abc')).toContain('unable to parse string as an integer","input":"abc"');
  });
});
