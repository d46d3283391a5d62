// The formats that are more than a number or a word: URLs, listen addresses, keys (spec 05 §1, §2.1).
// Each function takes the text of a variable and answers with the validated, normalised value. No value is echoed in a
// problem: these texts may carry passwords.

import { bad, good, type Parsed } from './variable.ts';

/** Blank means unset. */
export function optionally<T>(parse: (text: string) => Parsed<T>): (text: string) => Parsed<T | null> {
  return (text) => (text.trim() === '' ? good(null) : parse(text.trim()));
}

/** Values separated by commas; blank ones are dropped. The first problem is the whole one. */
export function list<T>(parse: (text: string) => Parsed<T>): (text: string) => Parsed<readonly T[]> {
  return (text) => {
    const values: T[] = [];
    for (const piece of text.split(',')) {
      const trimmed = piece.trim();
      if (trimmed === '') continue;
      const parsed = parse(trimmed);
      if (!parsed.ok) return parsed;
      values.push(parsed.value);
    }
    return good(values);
  };
}

/** An origin of web pages as browsers write it: scheme, host, port; or `*`. */
export function origin(text: string): Parsed<string> {
  const url = URL.parse(text);
  if (text === '*') return good(text);
  return url !== null && /^https?:$/.test(url.protocol) && /^https?:\/\/[^/?#@]+\/?$/i.test(text)
    ? good(url.origin)
    : bad('must be origins like https://app.example.com, or *');
}

/** The name of a file. */
export function fileName(text: string): Parsed<string> {
  return text.includes('\0') ? bad('must be the name of a file') : good(text);
}

/** A JSON array of regular expressions in RE2's syntax. They are compiled where they are used. */
export function patternList(text: string): Parsed<readonly string[]> {
  if (text.trim() === '') return good([]);
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return good(value);
  } catch {
    // Said below.
  }
  return bad('must be a JSON array of strings, e.g. ["sk-[A-Za-z0-9]+"]');
}

/** Any text; it will be part of names. */
export function anyText(text: string): Parsed<string> {
  return good(text);
}

/** A credential that travels in a header: trimmed (secret files end in a line break), printable ASCII inside. */
export function headerValue(text: string): Parsed<string> {
  const trimmed = text.trim();
  return /^[\x20-\x7e]*$/.test(trimmed)
    ? good(trimmed)
    : bad('must consist of printable ASCII characters: it travels in an HTTP header');
}

/** A base URL to which paths are appended: without its trailing `/`, otherwise as written. */
export function httpBaseUrl(text: string): Parsed<string> {
  const trimmed = text.trim();
  const url = URL.parse(trimmed);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return bad('must be an http:// or https:// URL');
  }
  if (/[?#]/.test(trimmed)) return bad('must not include a query string or fragment');
  return good(trimmed.replace(/\/+$/, ''));
}

/**
 * Spec 05 §1, `DIFY_AGENT_DIFY_API_BASE_URL`: normalised like a browser would, then without trailing `/`. A query is refused
 * in stub.ts: the reference complains about missing variables first.
 */
export function difyApiBaseUrl(text: string): Parsed<string> {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return bad('must be an http:// or https:// URL');
  }
  return good(url.href.replace(/\/+$/, ''));
}

/** Spec 05 §1, `DIFY_AGENT_INNER_API_URL`: the same under its later name, where blank does not mean "none". */
export function innerApiUrl(text: string): Parsed<string> {
  const trimmed = text.trim();
  if (trimmed === '') return bad('DIFY_AGENT_INNER_API_URL must not be empty');
  if (/[?#]/.test(trimmed)) return bad('DIFY_AGENT_INNER_API_URL must not include a query string or fragment');
  return difyApiBaseUrl(trimmed);
}

/** A Redis URL: scheme, host, optionally a database number. */
export function redisUrl(text: string): Parsed<string> {
  const trimmed = text.trim();
  const url = URL.parse(trimmed);
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:')) {
    return bad('must be a redis:// or rediss:// URL');
  }
  if (url.hostname === '') return bad('must include a host');
  if (!/^\/?\d*$/.test(url.pathname)) return bad('must end in a database number, as in redis://localhost:6379/0');
  return good(trimmed);
}

/** `sqlite:PATH`, `sqlite::memory:` or a Redis URL. */
export function storeUrl(text: string): Parsed<string> {
  const colon = text.indexOf(':');
  const scheme = text.slice(0, Math.max(colon, 0)).toLowerCase();
  if (scheme === 'redis' || scheme === 'rediss') return redisUrl(text);
  if (scheme !== 'sqlite') return bad('must be sqlite:PATH, sqlite::memory:, a redis:// or a rediss:// URL');
  const path = text.slice(colon + 1);
  // `sqlite://name` would mean /name to the file system and ./name to its author; `sqlite:///var/x.db` is clear.
  if (/^\/\/(?!\/)/.test(path)) return bad('must be written as sqlite:PATH, without //');
  if (path === '' || path.includes('\0')) return bad('must name a file: sqlite:PATH, e.g. sqlite:./dify-agent.db');
  return good(`sqlite:${path}`);
}

/** An address to listen on: an IP address (brackets dropped) or a host name. Bun cannot listen on one with a zone (`%eth0`). */
export function listenHost(text: string): Parsed<string> {
  const host = text.trim().replace(/^\[(.*)\]$/, '$1');
  return /^[A-Za-z0-9._:-]+$/.test(host)
    ? good(host)
    : bad('must be an IP address or a host name, e.g. 127.0.0.1, 0.0.0.0 or ::');
}

/** Spec 05 §2.1. Leftover bits in the last character are tolerated. */
export function serverSecretKey(text: string): Parsed<string> {
  if (!/^[A-Za-z0-9_-]+$/.test(text) || text.length % 4 === 1) {
    return bad('DIFY_AGENT_SERVER_SECRET_KEY must be valid unpadded base64url text');
  }
  return Math.floor((text.length * 3) / 4) === 32
    ? good(text)
    : bad('DIFY_AGENT_SERVER_SECRET_KEY must decode to exactly 32 decoded bytes');
}

interface SplitUrl {
  readonly scheme: string;
  readonly authority: string;
  readonly userInfo: boolean;
  /** Lower-cased, IPv6 without brackets. */
  readonly host: string;
  /** Null: none. NaN: not a port. */
  readonly port: number | null;
  readonly path: string;
  /** Query or fragment, when not empty. */
  readonly tail: string;
}

/** Splits a URL without changing it, as RFC 3986 appendix B does: the texts must survive where nothing normalises them. */
function splitUrl(text: string): SplitUrl {
  const match = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text);
  const authority = match?.[2] ?? '';
  const at = authority.lastIndexOf('@');
  const hostPort = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(authority.slice(at + 1));
  const portText = hostPort?.[2] ?? '';
  return {
    scheme: (match?.[1] ?? '').toLowerCase(),
    authority,
    userInfo: at >= 0,
    host: (hostPort?.[1] ?? '').replace(/^\[(.*)\]$/s, '$1').toLowerCase(),
    port: portText === '' ? null : /^\d+$/.test(portText) && Number(portText) <= 65535 ? Number(portText) : Number.NaN,
    path: match?.[3] ?? '',
    tail: (match?.[4] ?? '') + (match?.[5] ?? ''),
  };
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

const BAD_PORT = 'Port must be a whole number from 0 to 65535';

/**
 * The public URL of the Agent Stub (spec 05 §1.1, V1 column of its table): a lower-case `http(s)://` is normalised like a
 * browser would first, any other spelling is kept as it is.
 */
export function stubUrl(text: string): Parsed<string> {
  const normalised = /^https?:\/\//.test(text) ? URL.parse(text)?.href : text;
  if (normalised === undefined && splitUrl(text).host !== '') return bad('Agent Stub URL must be a valid URL');
  const url = splitUrl(normalised ?? text);
  if (!['http', 'https', 'grpc'].includes(url.scheme)) return bad('Agent Stub URL must use http, https, or grpc');
  if (url.host === '') return bad('Agent Stub URL must include a host');
  if (url.userInfo) return bad('Agent Stub URL must not include user info');
  if (url.tail !== '') return bad('Agent Stub URL must not include a query string or fragment');
  if (Number.isNaN(url.port)) return bad(BAD_PORT);
  if (url.scheme !== 'grpc') return good(`${url.scheme}://${url.authority}${url.path.replace(/\/+$/, '')}`);
  if (url.path !== '' && url.path !== '/') return bad('gRPC Agent Stub URL must not include a path');
  if (url.port === null) return bad('gRPC Agent Stub URL must include an explicit port');
  return good(`grpc://${bracketed(url.host)}:${url.port}`);
}

/** The path under which the stub's routes are, and the only one that later clients accept. */
export const STUB_PATH = '/agent-stub';

/** The same under its later name (V2 column): `/agent-stub` is the only path, and added where there is none. */
export function stubApiBaseUrl(text: string): Parsed<string> {
  const parsed = stubUrl(text);
  if (!parsed.ok || parsed.value.startsWith('grpc:')) return parsed;
  const { path } = splitUrl(parsed.value);
  if (path === '') return good(parsed.value + STUB_PATH);
  return path === STUB_PATH ? parsed : bad('HTTP Agent Stub API base URL path must be empty or /agent-stub');
}

/** Where the stub's gRPC server listens (spec 05 §1.2): `host:port`, IPv6 in brackets. */
export function grpcBindAddress(text: string): Parsed<string> {
  const url = splitUrl(`grpc://${text}`);
  if (url.host === '') return bad('Agent Stub gRPC bind address must include a host');
  if (url.userInfo) return bad('Agent Stub gRPC bind address must not include user info');
  if (url.path !== '' || url.tail !== '') return bad('Agent Stub gRPC bind address must be in host:port form');
  if (Number.isNaN(url.port)) return bad(BAD_PORT);
  if (url.port === null) return bad('Agent Stub gRPC bind address must include an explicit port');
  return good(`${bracketed(url.host)}:${url.port}`);
}
