// Where the gRPC service listens (spec 05 §1.2), from the settings to the address.

import { expect, test } from 'bun:test';
import { loadSettings } from '../../../src/config/load.ts';
import { stubAddresses } from '../../../src/config/stub.ts';
import { bindAddress } from '../../../src/stub/grpc/bind.ts';
import { SECRET, settingsOf } from '../kit.ts';

/** The address that a server with these variables binds. */
function bindOf(variables: Readonly<Record<string, string>>): string | null {
  const { stub } = settingsOf({ SERVER_SECRET_KEY: SECRET, ...variables });
  const url = stubAddresses(stub)?.grpcUrl ?? null;
  return url === null ? null : bindAddress(url, stub.grpcBindAddress);
}

test('without an override: every address, and the port of the public URL', () => {
  expect(bindOf({ STUB_URL: 'grpc://Agent.Example.com:9091/' })).toBe('0.0.0.0:9091');
  expect(bindOf({ STUB_URL: 'grpc://[::1]:9091' })).toBe('0.0.0.0:9091');
  expect(bindOf({ STUB_API_BASE_URL: 'grpc://h:1' })).toBe('0.0.0.0:1');
});

test('an override is where it listens; the sandbox is told the public URL all the same', () => {
  const variables = { STUB_URL: 'grpc://agent.example.com:443', STUB_GRPC_BIND_ADDRESS: ' 127.0.0.1:9091 ' };
  expect(bindOf(variables)).toBe('127.0.0.1:9091');
  expect(bindOf({ ...variables, STUB_GRPC_BIND_ADDRESS: '[::]:9091' })).toBe('[::]:9091');
  const { stub } = settingsOf({ SERVER_SECRET_KEY: SECRET, ...variables });
  expect(stubAddresses(stub)?.url).toBe('grpc://agent.example.com:443');
});

test('beside an http URL of the other generation', () => {
  const both = { STUB_URL: 'grpc://h:9091', STUB_API_BASE_URL: 'https://h' };
  expect(bindOf(both)).toBe('0.0.0.0:9091');
  expect(bindOf({ STUB_URL: 'https://h/agent-stub' })).toBeNull();
});

test('what is no address', () => {
  const problems = (address: string) => {
    const loaded = loadSettings(
      {
        DIFY_AGENT_SERVER_SECRET_KEY: SECRET,
        DIFY_AGENT_STUB_URL: 'grpc://h:1',
        DIFY_AGENT_STUB_GRPC_BIND_ADDRESS: address,
      },
      null,
    );
    return loaded.ok ? '' : loaded.problems.join('\n');
  };
  expect(problems('')).toBe('');
  expect(problems(':9091')).toContain('Agent Stub gRPC bind address must include a host');
  expect(problems('u@h:1')).toContain('Agent Stub gRPC bind address must not include user info');
  expect(problems('h')).toContain('Agent Stub gRPC bind address must include an explicit port');
  expect(problems('h:1/x')).toContain('Agent Stub gRPC bind address must be in host:port form');
  expect(problems('h:1?q')).toContain('Agent Stub gRPC bind address must be in host:port form');
  expect(() => bindAddress('https://h', null)).toThrow(
    'Agent Stub gRPC bind target requires a grpc://host:port public URL',
  );
});
