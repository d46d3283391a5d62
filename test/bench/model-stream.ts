// What a model chunk costs us: 1,000 chunks over a real socket from a fake daemon in a process of its own, against
// reading the same bytes and dropping them. Run by hand: `npx bun run test/bench/model-stream.ts`.

import type { ModelDelta } from '../../src/agent/model.ts';
import { createChunkReader } from '../../src/models/chunk-deltas.ts';
import { createPluginModel } from '../../src/models/plugin-daemon.ts';
import { createPluginDaemonClient } from '../../src/peers/plugin-daemon/client.ts';
import { createItemReader } from '../../src/peers/plugin-daemon/items.ts';
import { chunk, eventText, success } from '../fakes/daemon-script.ts';
import { startDaemonProcess } from './daemon-process.ts';

const CHUNKS = 1000;
const ROUNDS = 30;

async function measure(): Promise<void> {
  const daemon = await startDaemonProcess(CHUNKS, 2 * ROUNDS);
  const { url } = daemon;
  const client = createPluginDaemonClient(
    {
      url,
      apiKey: 'golden-daemon-key',
      connectTimeoutSeconds: 10,
      readTimeoutSeconds: 600,
      writeTimeoutSeconds: 30,
      poolTimeoutSeconds: 10,
      requestTimeoutSeconds: null,
      maxConnections: 100,
      maxKeepaliveConnections: 20,
      keepaliveExpirySeconds: 30,
    },
    { userAgent: 'bench' },
  );
  const config = {
    plugin_id: 'langgenius/openai',
    model_provider: 'openai',
    model: 'm',
    credentials: {},
    model_settings: null,
    context_window_tokens: null,
  };
  const model = createPluginModel(client, config, { tenantId: 't', userId: 'u' });

  const whole: number[] = [];
  const bytesOnly: number[] = [];
  let batches = 0;
  for (let round = 0; round < ROUNDS; round++) {
    whole.push(
      await timed(async () => {
        let deltas = 0;
        for await (const batch of model.stream({ messages: [], tools: [] }, new AbortController().signal)) {
          deltas += batch.length;
          batches += 1;
        }
        if (deltas !== CHUNKS + 2) throw new Error(`got ${deltas} deltas`);
      }),
    );
    bytesOnly.push(
      await timed(async () => {
        const response = await fetch(`${url}/plugin/t/dispatch/llm/invoke`, {
          method: 'POST',
          headers: { 'X-Api-Key': 'golden-daemon-key', 'X-Plugin-ID': 'a/b', 'Content-Type': 'application/json' },
          body: '{"data":{"provider":"p","model_type":"llm","model":"m","credentials":{},"prompt_messages":[],"model_parameters":{},"tools":null,"stop":null,"stream":true}}',
        });
        await response.arrayBuffer();
      }),
    );
  }
  daemon.stop();
  console.log(`whole: ${perChunk(median(whole))} per chunk, ${(batches / ROUNDS).toFixed(1)} batches per stream`);
  console.log(`bytes only: ${perChunk(median(bytesOnly))} per chunk`);
  console.log(`parsing alone: ${perChunk(median(parsing()))} per chunk`);
}

function parsing(): readonly number[] {
  const line = eventText(success(chunk({ content: 'hello world' }))).trimEnd();
  return Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    const items = createItemReader();
    const chunks = createChunkReader((text) => new Error(text));
    const data: unknown[] = [];
    const deltas: ModelDelta[] = [];
    for (let i = 0; i < CHUNKS; i++) {
      items.line(line, data);
      items.line('', data);
    }
    for (const item of data) chunks.item(item, deltas);
    return performance.now() - start;
  });
}

async function timed(run: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function perChunk(ms: number): string {
  return `${((ms * 1000) / CHUNKS).toFixed(2)} µs`;
}

if (import.meta.main) void measure();
