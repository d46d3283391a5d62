// What clients of wire vintage 2026-08 get beyond the seed: the error type of a run, and the schemas that say so.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { RunEvent } from '../../src/protocol/events.ts';
import type { TerminalStatus } from '../../src/protocol/runs.ts';
import { createWire } from '../../src/protocol/wire.ts';
import { ask, startServer, type TestServer } from './support.ts';

const AT = '2026-06-02T08:15:31.918004Z';
const LIMIT = 'agent_run_limit_exceeded';
const VINTAGES = ['2026-06', '2026-08'] as const;

const servers = new Map<string, TestServer>();
beforeAll(async () => {
  for (const wireVintage of VINTAGES) servers.set(wireVintage, await startServer({ settings: { wireVintage } }));
});
afterAll(async () => {
  for (const server of servers.values()) await server.stop();
});
function serverOf(vintage: string): TestServer {
  const server = servers.get(vintage);
  if (server === undefined) throw new Error(`no server of ${vintage}`);
  return server;
}

async function ended(vintage: string, status: TerminalStatus, errorType: string | null): Promise<string> {
  const { store, run } = serverOf(vintage);
  const runId = await run();
  const facts = { reason: null, errorType, usage: null };
  await store.finalise(runId, { status, updatedAt: AT, error: 'x', payload: '{}', facts });
  return runId;
}

describe('GET /runs/{id}', () => {
  test.each([
    ['2026-06', LIMIT, '"error":"x"}'],
    ['2026-08', LIMIT, `"error":"x","error_type":"${LIMIT}"}`],
    ['2026-08', null, '"error":"x","error_type":null}'],
  ])('of %s, where the type is %p, ends with %s', async (vintage, errorType, end) => {
    const runId = await ended(vintage, 'failed', errorType);
    expect((await ask(`${serverOf(vintage).url}/runs/${runId}`)).text).toEndWith(end);
  });

  test('of a running run has the key, too', async () => {
    const runId = await serverOf('2026-08').run();
    expect((await ask(`${serverOf('2026-08').url}/runs/${runId}`)).text).toEndWith('"error":null,"error_type":null}');
  });
});

describe('the OpenAPI document', () => {
  const usage = { promptTokens: 13, completionTokens: 8 };
  const snapshot = { schema_version: 1, layers: [] };
  const events: readonly RunEvent[] = [
    { type: 'run_started' },
    { type: 'run_succeeded', snapshot, result: { output: 'x' }, usage },
    { type: 'run_succeeded', snapshot, result: { output: null }, usage: null },
    { type: 'run_failed', error: 'x', reason: null, errorType: LIMIT, snapshot, usage },
    { type: 'run_failed', error: 'x', reason: 'shutdown', errorType: null, snapshot: null, usage: null },
    { type: 'run_cancelled', reason: 'user_cancelled', message: null, snapshot, usage },
    {
      type: 'pydantic_ai_event',
      data: {
        index: 0,
        delta: { content_delta: 'x', provider_name: null, provider_details: null, part_delta_kind: 'text' },
        event_kind: 'part_delta',
      },
    },
    {
      type: 'pydantic_ai_event',
      data: {
        event_kind: 'function_tool_result',
        result: {
          tool_name: 't',
          content: 'c',
          tool_call_id: 'call_1',
          metadata: null,
          timestamp: AT,
          outcome: 'success',
          part_kind: 'tool-return',
        },
        content: null,
      },
    },
  ];

  test.each(VINTAGES)('of %s describes its events and runs as they are printed, key by key', async (vintage) => {
    const { url } = serverOf(vintage);
    const document = JSON.parse((await ask(`${url}/openapi.json`)).text);
    const ajv = new Ajv2020({ strict: false, discriminator: false, validateFormats: false });
    ajv.addSchema(document, 'doc');
    const check = (name: string, value: unknown) => {
      const fits = ajv.compile({ $ref: `doc#/components/schemas/${name}` });
      expect([name, fits(value), fits.errors]).toEqual([name, true, null]);
    };
    const wire = createWire(vintage);
    for (const event of events) {
      const payload = JSON.parse(`{"id":"1-0",${wire.encode('r', AT, event).slice(1)}`);
      check('RunEventsResponse', { run_id: 'r', events: [payload], next_cursor: '1-0' });
    }
    const runId = await ended(vintage, 'failed', LIMIT);
    check('RunStatusResponse', JSON.parse((await ask(`${url}/runs/${runId}`)).text));
    const { properties } = document.components.schemas.RunStatusResponse;
    expect(Object.hasOwn(properties, 'error_type')).toBe(vintage === '2026-08');
    const failed = document.components.schemas.RunFailedEventData.properties;
    expect(Object.keys(failed)).toEqual(
      vintage === '2026-08' ? ['error', 'error_type', 'reason', 'session_snapshot', 'usage'] : ['error', 'reason'],
    );
  });
});
