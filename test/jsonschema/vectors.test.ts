// Against recorded answers of Python's jsonschema 4.26 with the reference's choice among its errors (spec 02 §9.4):
// vectors/faults.jsonl (a schema, a value, the first fault) and vectors/schemas.jsonl (a schema, the first line of what is
// wrong with it). Not among them: `unevaluatedProperties` beside `additionalProperties`, where the library departs from
// the specification and ours does not, and draft 4's idea that `1.0` is no integer (spec 02 §9.4 wants it to be one).

import { expect, test } from 'bun:test';
import type { JsonObject } from '../../src/base/json.ts';
import { createSchemaCompiler } from '../../src/jsonschema/compiler.ts';
import { stringifyJson } from '../../src/wiretext/json.ts';
import { object, refusal } from './support.ts';

const compiler = createSchemaCompiler();
const rows = async (name: string): Promise<readonly JsonObject[]> =>
  (await Bun.file(new URL(`vectors/${name}.jsonl`, import.meta.url)).text()).trimEnd().split('\n').map(object);
const member = (row: JsonObject, name: string): JsonObject => object(stringifyJson(row[name]));

test('the first fault of a value is the one of the reference, word for word', async () => {
  for (const row of await rows('faults')) {
    const { check } = await compiler.compile(member(row, 'schema'));
    expect({ row, fault: check(member(row, 'value')) }).toEqual({ row, fault: row.fault as string | null }); // as recorded
  }
});

test('what is no schema is refused with the first line of the reference', async () => {
  for (const row of await rows('schemas')) {
    const [firstLine, , where] = (await refusal(member(row, 'schema'), compiler)).split('\n');
    expect({ row, fault: firstLine ?? '' }).toEqual({
      row,
      fault: row.fault === null ? 'accepted' : String(row.fault),
    });
    if (where !== undefined) expect(where).toBe(`On ${String(row.where)}`);
  }
});
