// Sections of earlier issues: what shells and the stub cost, tool rounds, large snapshots, the heap.

import { heapAfter, resume, toolRounds } from '../agent-measures.ts';
import type { Sections } from '../section.ts';
import { largeOutput, readFile, shellRun } from '../shell-measures.ts';
import { grpcConnections, httpConnections, startCosts, tokenCosts } from '../stub-measures.ts';

const BOTH = ['sqlite', 'redis'] as const;
const SCRIPTED = 'scripted model';

export const peerSections: Sections = {
  shell: {
    stores: ['sqlite'],
    async measure({ store, repeat, report, size }) {
      const runs = await repeat(() => shellRun(size(80, 5), store));
      report({
        ...{ id: 'shell.added', name: 'added by a shell_run to shellctl’s own time', unit: 'ms', model: SCRIPTED },
        driver: 'calls one after the other, fake shellctl',
        blocks: runs.map(({ addedMs }) => addedMs),
        limit: { most: 10 },
        note: runs
          .map(({ throughUsMs, directMs }) => `${throughUsMs.toFixed(1)} ms, direct ${directMs.toFixed(1)} ms`)
          .join('; '),
      });
      const outputs = await repeat(() => largeOutput(size(64, 8)));
      report({
        ...{ id: 'shell.held', name: 'held in memory of an output of 64 MB', unit: 'MB', model: 'no model' },
        driver: 'reads it window by window, fake shellctl',
        blocks: outputs.map(({ heldMegabytes }) => heldMegabytes),
        limit: { most: 4 },
        note: outputs.map(({ megabytesPerSecond }) => `${megabytesPerSecond.toFixed(0)} MB/s`).join('; '),
      });
      const reads = await repeat(() => readFile(200_000, size(10, 2), store));
      report({
        ...{ id: 'shell.jobs', name: 'jobs on shellctl to read a file of 200 KB', unit: 'jobs', model: 'no model' },
        driver: 'POST /sandbox/files/read, fake shellctl',
        blocks: reads.map(({ jobs }) => jobs),
        limit: { most: 2 },
        note: reads.map(({ ms }) => `${ms.toFixed(1)} ms`).join('; '),
      });
    },
  },
  stub: {
    stores: 'none',
    async measure({ repeat, report, size }) {
      const shared = { model: 'no model' } as const;
      const inProcess = 'eight at once, in this process';
      const tokens = await repeat(() => tokenCosts(size(2_000, 20)));
      const limit = { most: 100 };
      report({
        ...{ ...shared, id: 'stub.mint', name: 'making a stub token', unit: 'µs', driver: inProcess, limit },
        blocks: tokens.map(({ together }) => together.mint),
        note: tokens.map(({ alone }) => `${alone.mint.toFixed(0)} µs one after the other`).join('; '),
      });
      report({
        ...{ ...shared, id: 'stub.check', name: 'checking a new stub token', unit: 'µs', driver: inProcess, limit },
        blocks: tokens.map(({ together }) => together.check),
        note: tokens
          .map(({ alone: { check, checkAgain } }) => {
            return `${check.toFixed(0)} µs one after the other, ${checkAgain.toFixed(1)} µs a known one`;
          })
          .join('; '),
      });
      const http = await repeat(() => httpConnections(size(10_000, 40), size(50, 4)));
      report({
        ...{ ...shared, id: 'stub.http', name: 'stub calls over HTTP', unit: 'calls/s', limit: { least: 10_000 } },
        driver: '50 connections, a token each',
        blocks: http.map(({ perSecond }) => perSecond),
        floor: 'floor.posts',
        note: http.map(({ cpuMicrosPerCall }) => `${cpuMicrosPerCall.toFixed(0)} µs CPU per call`).join('; '),
      });
      const grpc = await repeat(() => grpcConnections(size(5_000, 40), size(50, 4)));
      report({
        ...{ ...shared, id: 'stub.grpc', name: 'stub calls over gRPC', unit: 'calls/s', limit: { least: 5_000 } },
        driver: '50 calls at once on one connection',
        blocks: grpc.map(({ perSecond }) => perSecond),
        note: grpc.map(({ cpuMicrosPerCall }) => `${cpuMicrosPerCall.toFixed(0)} µs CPU per call`).join('; '),
      });
      const starts = await repeat(startCosts);
      report({
        ...{ ...shared, id: 'stub.start', name: 'CPU time of a start with a stub, beyond one without', unit: 'ms' },
        driver: 'spawns the binary, asks until it answers',
        blocks: starts.map(({ bare, configured }) => configured - bare),
      });
    },
  },
  resume: {
    stores: ['sqlite'],
    async measure({ store, repeat, report, size }) {
      report({
        ...{ id: 'resume', name: 'resuming a snapshot of 2 MB', unit: 'ms', model: SCRIPTED, limit: { below: 60 } },
        driver: 'one at a time, POST + SSE to the end',
        blocks: await repeat(() => resume(size(2 * 2 ** 20, 100_000), size(20, 2), store)),
      });
    },
  },
  tools: {
    stores: BOTH,
    extra: true,
    async measure({ store, repeat, report, size }) {
      const results = await repeat(() => toolRounds(size(50, 3), store));
      report({
        ...{ id: 'tools', name: 'two tool rounds and 100 chunks: own time', unit: 'ms', model: 'fake daemon' },
        driver: 'one at a time, POST + SSE to the end',
        blocks: results.map(({ ownMs }) => ownMs),
        limit: { below: 8 },
        note: results
          .map(({ runMs, daemonMs }) => `run ${runMs.toFixed(1)} ms, daemon ${daemonMs.toFixed(1)} ms`)
          .join('; '),
      });
    },
  },
  heap: {
    stores: BOTH,
    extra: true,
    async measure({ store, report, size }) {
      const { firstMegabytes, allMegabytes } = await heapAfter(size(1_000, 20), size(10_000, 40), store);
      report({
        ...{ id: 'heap', name: 'more heap after 10,000 runs than after 1,000', unit: '%', model: SCRIPTED },
        driver: '20 at once, POST + SSE to the end, server in this process',
        blocks: [(allMegabytes / firstMegabytes - 1) * 100],
        limit: { below: 10 },
        note: `${firstMegabytes.toFixed(1)} MB, then ${allMegabytes.toFixed(1)} MB`,
      });
    },
  },
};
