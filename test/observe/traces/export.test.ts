// The way to the collector: what is sent, and what happens when it does not go well. Nothing here may fail a run, and no
// trouble may last longer or hold more than it was given.

import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTraces } from '../../../src/observe/traces/open.ts';
import { startFakeCollector } from '../../fakes/otlp.ts';
import { until, within } from '../../support/until.ts';
import { DEFAULTS, keepingLogger, type Line, opened, REQUEST, type Site, tellRun, turn, withTraces } from './kit.ts';

const LATER = { ...DEFAULTS.batch, scheduleDelayMs: 60_000 };

function tellRequests({ probe }: Pick<Site, 'probe'>, count: number): void {
  for (let i = 0; i < count; i++) probe.request(REQUEST).end({ status: 200 });
}

/** Spans that lines say were lost. */
function lostIn(lines: readonly Line[]): number {
  return lines.reduce((sum, { fields }) => sum + Number(fields.spans ?? fields.spans_lost_meanwhile ?? 0), 0);
}

test('tracing that is off is nothing', async () => {
  expect(await openTraces(null, { logger: keepingLogger().logger, secrets: [] })).toBeNull();
});

describe('what is sent', () => {
  test('headers of the settings, an agent of our name, and no trace of the posts themselves', async () => {
    const options = { headerNames: ['Authorization', 'x-scope'], headers: ['Basic dTpw=', 'a b'] };
    await withTraces(options, async ({ probe, collector }) => {
      // Told inside a request, as everything is: the timer that sends belongs to nobody all the same.
      await tellRun(probe);
      await collector.span('invoke_agent');
      for (const { headers } of collector.posts) {
        expect(headers).toMatchObject({ authorization: 'Basic dTpw=', 'x-scope': 'a b' });
        expect(headers['user-agent']).toStartWith('dify-agent/');
      }
      expect(collector.spans.map(({ name }) => name)).not.toContain('POST v1/traces');
    });
  });

  test('gzip, where it is asked for', async () => {
    await withTraces({ compression: 'gzip' }, async ({ probe, collector }) => {
      await tellRun(probe);
      await collector.span('invoke_agent');
      expect(collector.posts[0]?.headers['content-encoding']).toBe('gzip');
    });
  });

  test('a full batch leaves at once, a part of one after the delay; smaller batches while content is recorded', async () => {
    const batch = { ...LATER, maxExportBatchSize: 200 };
    await withTraces({ batch }, async (site) => {
      tellRequests(site, 199);
      expect(site.collector.posts).toHaveLength(0);
      tellRequests(site, 1);
      await site.collector.wait('the batch', (spans) => spans.length === 200);
      expect(site.collector.posts).toHaveLength(1);
    });
    await withTraces({ batch, content: true }, async (site) => {
      tellRequests(site, 200);
      await site.traces.close();
      expect(site.collector.posts.map(({ spans }) => spans.length).sort()).toEqual([64, 64, 64, 8].sort());
    });
  });
});

describe('a stop', () => {
  test('sends everything that is waiting, one post at a time', async () => {
    await withTraces({ batch: { ...LATER, maxExportBatchSize: 100, maxQueueSize: 5000 } }, async (site) => {
      tellRequests(site, 4321);
      await site.traces.close();
      expect(site.collector.spans).toHaveLength(4321);
      expect(site.collector.mostAtOnce).toBe(1);
      expect(lostIn(site.lines)).toBe(0);
    });
  });

  test('is not held up by a collector that says nothing, and says what was lost', async () => {
    await withTraces({ batch: LATER }, async (site) => {
      site.collector.mood = 'hangs';
      tellRequests(site, 7);
      await within('the stop', site.traces.close(), 8000);
      expect(lostIn(site.lines)).toBe(7);
      // Told after the end: ignored.
      tellRequests(site, 7);
      await site.traces.close();
      expect(lostIn(site.lines)).toBe(7);
    });
  });
});

describe('a collector in trouble', () => {
  test('that is not there costs one full queue and two lines of the log', async () => {
    const gone = startFakeCollector();
    await gone.stop();
    const { logger, lines } = keepingLogger();
    const batch = { ...DEFAULTS.batch, scheduleDelayMs: 1, maxQueueSize: 100, maxExportBatchSize: 50 };
    const traces = await opened({ url: `${gone.url}/v1/traces`, timeoutMs: 300, batch }, logger);
    for (let round = 0; round < 20; round++) {
      tellRequests(traces, 1000);
      await turn();
    }
    await within('the stop', traces.close(), 8000);
    expect(lostIn(lines)).toBe(20_000);
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(2);
  });

  test('that comes back is used again, and the log says so once', async () => {
    const batch = { ...DEFAULTS.batch, scheduleDelayMs: 1 };
    await withTraces({ batch, timeoutMs: 500 }, async (site) => {
      site.collector.mood = 500;
      for (let round = 1; round <= 3; round++) {
        tellRequests(site, 1);
        await until('the post', () => site.collector.posts.length === round);
      }
      site.collector.mood = 'takes';
      tellRequests(site, 1);
      await site.collector.wait('a span', (spans) => spans.length === 1);
      await until('the line', () => site.lines.some(({ message }) => message === 'traces are exported again'));
      expect(site.lines.map(({ level }) => level)).toEqual(['info', 'warn', 'info']);
      expect(lostIn(site.lines)).toBe(3);
    });
  });

  test('is given up after the time-out of a post, silent or never finishing, and asked again with the next', async () => {
    for (const mood of ['hangs', 'dribbles'] as const) {
      const batch = { ...DEFAULTS.batch, scheduleDelayMs: 1 };
      await withTraces({ batch, timeoutMs: 200 }, async (site) => {
        site.collector.mood = mood;
        tellRequests(site, 1);
        await until('the loss', () => lostIn(site.lines) === 1);
        site.collector.mood = 'takes';
        tellRequests(site, 1);
        await site.collector.wait('the next', () => site.collector.posts.at(-1)?.spans.length === 1);
        await until('the good news', () => site.lines.some(({ message }) => message === 'traces are exported again'));
      });
    }
  });

  test('a busy one (503) is asked again within the time-out', async () => {
    await withTraces({ batch: { ...DEFAULTS.batch, scheduleDelayMs: 1 } }, async (site) => {
      site.collector.mood = 503;
      tellRequests(site, 1);
      await until('the first post', () => site.collector.posts.length === 1);
      site.collector.mood = 'takes';
      await site.collector.wait('the second', (spans) => spans.length === 1);
      expect(lostIn(site.lines)).toBe(0);
    });
  });

  test('a batch that is given up before its post is over does not let posts pile up', async () => {
    const batch = { scheduleDelayMs: 1, exportTimeoutMs: 5, maxQueueSize: 20, maxExportBatchSize: 10 };
    await withTraces({ batch, timeoutMs: 1500 }, async (site) => {
      site.collector.mood = 'hangs';
      await until('a loss', () => {
        tellRequests(site, 10);
        return lostIn(site.lines) > 0;
      });
      expect(site.collector.mostAtOnce).toBe(1);
      site.collector.mood = 'takes';
    });
  });

  test('what it answers and what it was sent are not in the log', async () => {
    const options = { headerNames: ['authorization'], headers: ['hunter2-secret'], timeoutMs: 300 };
    await withTraces({ ...options, batch: { ...DEFAULTS.batch, scheduleDelayMs: 1 } }, async (site) => {
      site.collector.mood = 401;
      tellRequests(site, 1);
      await until('the line', () => lostIn(site.lines) === 1);
      expect(JSON.stringify(site.lines)).not.toContain('hunter2');
      expect(JSON.stringify(site.lines)).toContain('401');
    });
  });

  test('one that closes every connection, and one that is no HTTP server', async () => {
    for (const greeting of ['', 'SSH-2.0-OpenSSH_9\r\n']) {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.end(greeting);
      });
      const { promise, resolve } = Promise.withResolvers<void>();
      server.listen(0, '127.0.0.1', resolve);
      await promise;
      const address = server.address();
      const port = typeof address === 'object' ? address?.port : 0;
      const { logger, lines } = keepingLogger();
      const traces = await opened({ url: `http://127.0.0.1:${port}/v1/traces`, timeoutMs: 200 }, logger);
      tellRequests(traces, 2);
      await within('the stop', traces.close(), 8000);
      expect(lostIn(lines)).toBe(2);
      server.close();
    }
  });
});

describe('HTTPS', () => {
  test('a collector with an authority and a certificate of our own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dify-agent-traces-'));
    try {
      const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
      const made = Bun.spawnSync(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
          .concat(['-keyout', keyFile, '-out', certFile, '-subj', '/CN=localhost'])
          .concat(['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']),
      );
      expect(made.exitCode).toBe(0);
      const [cert, key] = [await Bun.file(certFile).text(), await Bun.file(keyFile).text()];
      const collector = startFakeCollector({ tls: { cert, key, ca: cert } });
      try {
        const url = `${collector.url}/v1/traces`;
        const trusted = { caFile: certFile, certFile, keyFile };
        const traces = await opened({ url, tls: trusted });
        tellRequests(traces, 1);
        await traces.close();
        expect(collector.spans).toHaveLength(1);

        const { logger, lines } = keepingLogger();
        for (const tls of [DEFAULTS.tls, { ...trusted, certFile: null, keyFile: null }]) {
          const refused = await opened({ url, tls, timeoutMs: 300 }, logger);
          tellRequests(refused, 1);
          await refused.close();
        }
        expect(lostIn(lines)).toBe(2);
        expect(collector.spans).toHaveLength(1);
      } finally {
        await collector.stop();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('a file that cannot be read stops the start and is named with its variable', async () => {
    const tls = { ...DEFAULTS.tls, caFile: '/nowhere/ca.pem' };
    const opening = opened({ url: 'https://127.0.0.1:1/v1/traces', tls });
    await expect(opening).rejects.toThrow('OTEL_EXPORTER_OTLP_CERTIFICATE: /nowhere/ca.pem cannot be read: ');
  });
});
