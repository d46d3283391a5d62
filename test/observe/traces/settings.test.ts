// The variables of tracing: when it is on, what the two generations of names amount to, and what stops the start.

import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings, readConfiguration } from '../../../src/config/load.ts';
import { configuredSecrets } from '../../../src/config/secrets.ts';
import type { Environment } from '../../../src/config/sources.ts';
import type { TraceOptions } from '../../../src/observe/traces/options.ts';

const ON = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

function tracesOf(env: Environment): TraceOptions | null {
  const loaded = loadSettings(env, null);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.settings.traces;
}

/** With tracing on. */
function optionsOf(env: Environment): TraceOptions {
  const traces = tracesOf({ ...ON, ...env });
  if (traces === null) throw new Error('tracing is off');
  return traces;
}

function problemsOf(env: Environment): readonly string[] {
  const loaded = loadSettings(env, null);
  return loaded.ok ? [] : loaded.problems;
}

describe('tracing is off', () => {
  test.each<Environment>([
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: ' ', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: '' },
    { ...ON, OTEL_SDK_DISABLED: 'TRUE' },
    { ...ON, OTEL_TRACES_EXPORTER: 'none' },
    { OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' },
  ])('%j', (env) => {
    expect(tracesOf(env)).toBeNull();
  });

  test('and then what other programs are told by these variables is no mistake', () => {
    const foreign = {
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_TRACES_SAMPLER: 'jaeger_remote',
      OTEL_PROPAGATORS: 'b3',
      OTEL_BSP_MAX_QUEUE_SIZE: 'many',
      OTEL_EXPORTER_OTLP_HEADERS: '%%%',
    };
    expect(problemsOf(foreign)).toEqual([]);
    expect(problemsOf({ ...foreign, ...ON, OTEL_SDK_DISABLED: 'true' })).toEqual([]);
    expect(problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense', OTEL_TRACES_EXPORTER: 'none' })).toEqual([]);
  });
});

describe('tracing is on', () => {
  test('with the defaults of OpenTelemetry', () => {
    const options = optionsOf({});
    expect(options).toEqual({
      url: 'http://collector:4318/v1/traces',
      headerNames: [],
      headers: [],
      timeoutMs: 10_000,
      compression: 'none',
      tls: { caFile: null, certFile: null, keyFile: null },
      serviceName: 'dify-agent',
      resourceAttributes: [],
      sampler: 'parentbased_always_on',
      samplerRatio: 1,
      batch: { scheduleDelayMs: 5000, exportTimeoutMs: 30_000, maxQueueSize: 2048, maxExportBatchSize: 512 },
      propagate: true,
      content: false,
    });
    for (const value of [options, ...Object.values(options)]) expect(Object.isFrozen(value)).toBe(true);
  });

  test('a value that is empty is not set, as everywhere in OpenTelemetry', () => {
    const names = readConfiguration({}, null).readings.map(({ variable }) => variable.name);
    const empty = Object.fromEntries(names.filter((name) => name.startsWith('OTEL_')).map((name) => [name, '']));
    expect(Object.keys(empty).length).toBeGreaterThan(20);
    expect(tracesOf({ ...empty, ...ON })).toEqual(optionsOf({}));
  });

  test.each([
    ['http://h:4318', 'http://h:4318/v1/traces'],
    ['http://h:4318/', 'http://h:4318/v1/traces'],
    ['https://h/otel//', 'https://h/otel/v1/traces'],
    [' HTTP://H/x ', 'http://h/x/v1/traces'],
  ])('the general endpoint %p is a base: %p', (given, url) => {
    expect(tracesOf({ OTEL_EXPORTER_OTLP_ENDPOINT: given })?.url).toBe(url);
  });

  test('the endpoint for traces is taken as it is, and wins', () => {
    expect(optionsOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://h/in' }).url).toBe('https://h/in');
    expect(tracesOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://h' })?.url).toBe('https://h/');
  });

  test('what is set for traces wins over what is set for everything', () => {
    const options = optionsOf({
      OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
      OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: '2000',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_CERTIFICATE: '/a.pem',
      OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: '/b.pem',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_HEADERS: 'Api-Key=general,x-a=1',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'api-key=own',
    });
    expect(options).toMatchObject({ timeoutMs: 2000, compression: 'none', tls: { caFile: '/b.pem' } });
    expect(options.headerNames).toEqual(['api-key', 'x-a']);
    expect(options.headers).toEqual(['own', '1']);
  });

  test('lists are percent-decoded, their blanks do not matter', () => {
    const options = optionsOf({
      OTEL_EXPORTER_OTLP_HEADERS: ' Authorization = Basic%20dTpw== , x=a%2Cb,,',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=named,deployment.environment.name=p%C3%A4,empty=',
    });
    expect(options.headerNames).toEqual(['Authorization', 'x']);
    expect(options.headers).toEqual(['Basic dTpw==', 'a,b']);
    expect(options.serviceName).toBe('named');
    expect(options.resourceAttributes).toEqual([
      ['deployment.environment.name', 'pä'],
      ['empty', ''],
    ]);
  });

  test('OTEL_SERVICE_NAME wins over the resource', () => {
    const env = { OTEL_SERVICE_NAME: 'mine', OTEL_RESOURCE_ATTRIBUTES: 'service.name=other' };
    expect(optionsOf(env)).toMatchObject({ serviceName: 'mine', resourceAttributes: [] });
  });

  test('samplers, propagators and content', () => {
    const env = { OTEL_TRACES_SAMPLER: 'TraceIdRatio', OTEL_TRACES_SAMPLER_ARG: '0.25', OTEL_PROPAGATORS: 'none' };
    expect(optionsOf({ ...env, DIFY_AGENT_TRACE_CONTENT: 'on' })).toMatchObject({
      sampler: 'traceidratio',
      samplerRatio: 0.25,
      propagate: false,
      content: true,
    });
    expect(optionsOf({ OTEL_PROPAGATORS: 'baggage, tracecontext' }).propagate).toBe(true);
    expect(optionsOf({ OTEL_PROPAGATORS: 'baggage' }).propagate).toBe(false);
  });

  test('from a settings file as well', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dify-agent-traces-'));
    try {
      writeFileSync(join(folder, '.env'), 'OTEL_EXPORTER_OTLP_ENDPOINT=http://filed:4318\n');
      expect(readConfiguration({}, folder).settings?.traces?.url).toBe('http://filed:4318/v1/traces');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe('what stops the start, on one line that names the variable', () => {
  test.each<readonly [string, string, string]>([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318', 'must be an http:// or https:// URL'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'grpc://h:4317', 'must be an http:// or https:// URL'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://u:hunter2@h', 'must not include user info'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'http://h/?key=hunter2', 'must not include a query string'],
    [
      'OTEL_EXPORTER_OTLP_PROTOCOL',
      'grpc',
      'grpc is not supported here: set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json',
    ],
    ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/protobuf', 'http/protobuf is not supported here'],
    ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'carrier pigeon', 'this protocol is not supported here'],
    ['OTEL_TRACES_EXPORTER', 'zipkin', 'is not otlp or none'],
    ['OTEL_TRACES_EXPORTER', 'otlp,console', 'is not otlp or none'],
    ['OTEL_SDK_DISABLED', 'perhaps', 'is not true or false'],
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote', 'is not always_on or always_off or'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5', 'is not a number, 0 to 1'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '0', 'is not a whole number of milliseconds'],
    ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'soon', 'is not a whole number of milliseconds'],
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd', 'is not none or gzip'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'hunter2', 'must be headers like name=value'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a b=hunter2', 'must be headers like name=value'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=hunter2%0d%0ab: c', 'must be headers like name=value'],
    ['OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'a=hunter2%zz', 'must be headers like name=value'],
    ['OTEL_EXPORTER_OTLP_TRACES_HEADERS', `a=${'x'.repeat(9000)}`, 'must be headers like name=value'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'hunter2', 'must be attributes like name=value'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'a=1,'.repeat(200), 'must be at most 128 attributes'],
    ['OTEL_SERVICE_NAME', 'a\nb', 'must be one line of text'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '100000', 'is not a whole number, 1 to 65536'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '100', ''],
    ['OTEL_BSP_SCHEDULE_DELAY', '-1', 'is not a whole number of milliseconds'],
    ['OTEL_PROPAGATORS', 'b3', 'supports tracecontext alone'],
    ['DIFY_AGENT_TRACE_CONTENT', 'maybe', 'is not true or false'],
    ['OTEL_EXPORTER_OTLP_CLIENT_KEY', '/key.pem', ''],
  ])('%s=%s', (name, value, text) => {
    const problems = problemsOf({ ...ON, [name]: value });
    expect(problems).toHaveLength(1);
    const [problem = ''] = problems;
    expect(problem).toContain(name);
    expect(problem).toContain(text);
    expect(problem).not.toContain('hunter2');
    expect(problem).not.toContain('\n');
  });
});

test('headers are secrets: the redactor knows their values, a report shows none', () => {
  const env = {
    ...ON,
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=hunter2,x=b',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'y=hunter3',
  };
  const { settings, readings } = readConfiguration(env, null);
  if (settings === null) throw new Error('no settings');
  const secrets = configuredSecrets(settings);
  expect(secrets).toEqual(expect.arrayContaining(['hunter2', 'b', 'hunter3']));
  expect(secrets).not.toContain('api-key');
  for (const { variable } of readings) {
    if (variable.name.endsWith('_HEADERS')) expect(variable.secret).toBe(true);
  }
});

test('names of OpenTelemetry that nothing here reads are no mistake', () => {
  const env = {
    OTEL_LOGS_EXPORTER: 'otlp',
    OTEL_METRICS_EXPORTER: 'otlp',
    OTEL_TRACES_SAMPLR: 'x',
    DIFY_AGENT_PROT: '1',
  };
  expect(readConfiguration(env, null).unknown.map(({ name }) => name)).toEqual(['DIFY_AGENT_PROT']);
});
