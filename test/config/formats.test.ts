// The Agent Stub's URLs and bind address, by the tables of spec 05 §1.1 and §1.2; the Dify API's; other formats.

import { describe, expect, test } from 'bun:test';
import {
  difyApiBaseUrl,
  grpcBindAddress,
  headerValue,
  httpBaseUrl,
  innerApiUrl,
  listenHost,
  stubApiBaseUrl,
  stubUrl,
} from '../../src/config/formats.ts';
import type { Parsed } from '../../src/config/variable.ts';

function outcome(parsed: Parsed<string>): string {
  return parsed.ok ? parsed.value : `! ${parsed.problem}`;
}

describe('stub URL', () => {
  test.each([
    ['https://agent.example.com', 'https://agent.example.com'],
    ['https://agent.example.com/agent-stub/', 'https://agent.example.com/agent-stub'],
    ['https://Agent.Example.com:443/agent-stub', 'https://agent.example.com/agent-stub'],
    ['HTTPS://Agent.Example.com:443/agent-stub', 'https://Agent.Example.com:443/agent-stub'],
    ['https://gw.example.com/x/agent-stub', 'https://gw.example.com/x/agent-stub'],
    ['https://agent.example.com/agent-stub?', 'https://agent.example.com/agent-stub'],
    ['https://agent.example.com/agent-stub?x=1', '! Agent Stub URL must not include a query string or fragment'],
    ['https://agent.example.com/agent-stub#x', '! Agent Stub URL must not include a query string or fragment'],
    ['https://u:p@h/agent-stub', '! Agent Stub URL must not include user info'],
    ['grpc://Agent.Example.com:9091/', 'grpc://agent.example.com:9091'],
    ['grpc://agent.example.com', '! gRPC Agent Stub URL must include an explicit port'],
    ['grpc://h:1/p', '! gRPC Agent Stub URL must not include a path'],
    ['grpc://[::1]:9091', 'grpc://[::1]:9091'],
    ['grpc://:9091', '! Agent Stub URL must include a host'],
    ['grpc://h:99999', '! Port must be a whole number from 0 to 65535'],
    ['not-a-url', '! Agent Stub URL must use http, https, or grpc'],
    ['ftp://h/agent-stub', '! Agent Stub URL must use http, https, or grpc'],
    ['https://', '! Agent Stub URL must include a host'],
  ])('%s', (text, expected) => {
    expect(outcome(stubUrl(text))).toBe(expected);
  });
});

describe('stub URL under its later name', () => {
  test.each([
    ['https://agent.example.com', 'https://agent.example.com/agent-stub'],
    ['https://agent.example.com/', 'https://agent.example.com/agent-stub'],
    [' https://agent.example.com/agent-stub/ '.trim(), 'https://agent.example.com/agent-stub'],
    ['https://Agent.Example.com:443/agent-stub', 'https://agent.example.com/agent-stub'],
    ['HTTPS://Agent.Example.com:443/agent-stub', 'https://Agent.Example.com:443/agent-stub'],
    ['https://gw.example.com/x/agent-stub', '! HTTP Agent Stub API base URL path must be empty or /agent-stub'],
    ['https://h/agent-stubs', '! HTTP Agent Stub API base URL path must be empty or /agent-stub'],
    ['https://h/agent-stub?x=1', '! Agent Stub URL must not include a query string or fragment'],
    ['https://u:p@h/agent-stub', '! Agent Stub URL must not include user info'],
    ['grpc://Agent.Example.com:9091/', 'grpc://agent.example.com:9091'],
    ['grpc://agent.example.com', '! gRPC Agent Stub URL must include an explicit port'],
    ['not-a-url', '! Agent Stub URL must use http, https, or grpc'],
  ])('%s', (text, expected) => {
    expect(outcome(stubApiBaseUrl(text))).toBe(expected);
  });
});

describe('Dify API URL', () => {
  test.each([
    ['HTTP://Api.Example.com:80/x//', 'http://api.example.com/x'],
    ['https://u:p@h/', 'https://u:p@h'],
    ['h:5001', '! must be an http:// or https:// URL'],
    ['grpc://h:1', '! must be an http:// or https:// URL'],
  ])('%s', (text, expected) => {
    expect(outcome(difyApiBaseUrl(text))).toBe(expected);
    expect(outcome(innerApiUrl(` ${text} `))).toBe(expected);
  });

  test('blank is none under the first name and an error under the later one', () => {
    expect(outcome(innerApiUrl(' '))).toBe('! DIFY_AGENT_INNER_API_URL must not be empty');
    expect(outcome(innerApiUrl('http://h?'))).toBe(
      '! DIFY_AGENT_INNER_API_URL must not include a query string or fragment',
    );
  });
});

describe('gRPC bind address', () => {
  test.each([
    [':9091', '! Agent Stub gRPC bind address must include a host'],
    ['u@h:1', '! Agent Stub gRPC bind address must not include user info'],
    ['h', '! Agent Stub gRPC bind address must include an explicit port'],
    ['h:1/x', '! Agent Stub gRPC bind address must be in host:port form'],
    ['h:1?q', '! Agent Stub gRPC bind address must be in host:port form'],
    ['[::]:9091', '[::]:9091'],
    ['0.0.0.0:9091', '0.0.0.0:9091'],
  ])('%s', (text, expected) => {
    expect(outcome(grpcBindAddress(text))).toBe(expected);
  });
});

describe('other formats', () => {
  test('a base URL loses its trailing slashes and keeps the rest', () => {
    expect(outcome(httpBaseUrl(' http://H:5002/x// '))).toBe('http://H:5002/x');
    expect(outcome(httpBaseUrl('h:5002'))).toBe('! must be an http:// or https:// URL');
    expect(outcome(httpBaseUrl('http://h?x=1'))).toBe('! must not include a query string or fragment');
  });

  test('a header value may end in a line break and hold none', () => {
    expect(outcome(headerValue('key\n'))).toBe('key');
    expect(headerValue('k\ney').ok).toBe(false);
    expect(headerValue('schlüssel').ok).toBe(false);
  });

  test('a listen address is an IP address or a host name', () => {
    for (const host of ['127.0.0.1', '::', 'localhost', 'fe80::1']) expect(outcome(listenHost(host))).toBe(host);
    expect(outcome(listenHost('[::1]'))).toBe('::1');
    // Bun cannot listen on an address with a zone.
    for (const host of ['', 'http://x', 'a b', 'x/y', 'fe80::1%eth0']) expect(listenHost(host).ok).toBe(false);
  });
});
