import { describe, expect, test } from 'bun:test';
import { answerOf, formOf } from '../../src/client/question.ts';
import type { DeferredToolCall, JsonValue } from '../../src/client/types.ts';
import { missingOf, requestFrom, resumingRequest } from '../../src/console/run/question.ts';
import { NO_LAYERS } from './events.ts';

const question = (args: JsonValue): DeferredToolCall => ({
  tool_call_id: 'q1',
  tool_name: 'ask_human',
  args,
  metadata: null,
});

const FULL = {
  title: 'Tea',
  question: 'How many?',
  fields: [
    { type: 'paragraph', name: 'packs', label: 'Packs', required: true, default: '2' },
    { type: 'select', name: 'kind', label: 'Kind', options: [{ value: 'green', label: 'Green' }] },
    { type: 'file', name: 'bill', label: 'Bill', required: true },
  ],
  actions: [{ id: 'order', label: 'Order', style: 'destructive' }],
  urgency: 'high',
};

describe('a question as a form', () => {
  test('has its fields and buttons', () => {
    const form = formOf(question(FULL));
    expect(form).toMatchObject({ title: 'Tea', question: 'How many?', urgent: true });
    expect(form?.fields.map(({ name, kind, required, initial }) => [name, kind, required, initial])).toEqual([
      ['packs', 'paragraph', true, '2'],
      ['kind', 'select', false, ''],
      ['bill', 'unsupported', true, ''],
    ]);
    expect(form?.actions).toEqual([{ id: 'order', label: 'Order', style: 'destructive' }]);
  });

  test('anything else is no form, and odd members do no harm', () => {
    for (const args of [null, 'x', [], {}, { question: 5 }]) expect(formOf(question(args))).toBeNull();
    const odd = formOf(question({ question: 'x', fields: [1, { type: 'select', options: [] }], actions: 'none' }));
    expect(odd?.fields.map(({ kind }) => kind)).toEqual(['unsupported']);
    expect(odd?.actions.map(({ id }) => id)).toEqual(['submit']);
  });

  test('what must be filled in is missed, but for what cannot be given here', () => {
    const form = formOf(question(FULL));
    if (form === null) throw new Error('no form');
    expect(missingOf(form, new Map([['packs', '  ']]))).toEqual(['Packs']);
    expect(missingOf(form, new Map([['packs', '3']]))).toEqual([]);
  });

  test('the answer is the result that a Dify form gives', () => {
    const form = formOf(question(FULL));
    const action = form?.actions[0];
    if (form == null || action === undefined) throw new Error('no form');
    expect(
      answerOf(
        form,
        new Map([
          ['packs', '3'],
          ['kind', ''],
          ['bill', 'no'],
        ]),
        action,
      ),
    ).toEqual({
      status: 'submitted',
      action: { id: 'order', label: 'Order' },
      values: { packs: '3' },
      rendered_content: '## Tea\n\nHow many?',
    });
  });
});

describe('going on', () => {
  test('keeps composition and exits, takes the snapshot, and is a run of its own', () => {
    const request = { composition: { layers: [] }, idempotency_key: 'once', on_exit: { default: 'delete' as const } };
    expect(resumingRequest(request, question(FULL), NO_LAYERS, 'yes')).toEqual({
      composition: { layers: [] },
      on_exit: { default: 'delete' },
      session_snapshot: NO_LAYERS,
      deferred_tool_results: { calls: { q1: 'yes' } },
    });
  });

  test('a composition or a whole request may be pasted; anything else is said to be wrong', () => {
    expect(requestFrom('{"layers":[]}')).toEqual({ composition: { layers: [] } });
    expect(requestFrom('{"composition":{"layers":[]},"metadata":{}}')).toEqual({
      composition: { layers: [] },
      metadata: {},
    });
    expect(JSON.stringify(requestFrom('{"layers":[{"config":{"id":12345678901234567890}}]}'))).toContain(
      '12345678901234567890',
    );
    expect(() => requestFrom('{')).toThrow('This is not JSON');
    for (const text of ['[]', '{}', '{"layers":{}}', '3']) expect(() => requestFrom(text)).toThrow('list "layers"');
  });
});
