// The rules between the variables that say who may call, how, and with how much: what contradicts, and what is allowed but
// worth a warning. The variables themselves are in variables/server.ts; what the server does with them, in server/.

import { BlockList, isIP } from 'node:net';
import type { Settings } from './settings.ts';

type AccessParts = Pick<
  Settings,
  'host' | 'access' | 'tls' | 'corsOrigins' | 'maxRequestBytes' | 'maxPendingRequestBytes'
>;

/** What contradicts, one line each; no text repeats a secret. */
export function accessProblems(settings: AccessParts): readonly string[] {
  const { host, access, tls, corsOrigins, maxRequestBytes, maxPendingRequestBytes } = settings;
  const problems: string[] = [];
  if (access.apiToken === null && access.apiTokensPrevious.length > 0) {
    problems.push('DIFY_AGENT_API_TOKEN is required when DIFY_AGENT_API_TOKEN_PREVIOUS is set.');
  } else if (access.apiToken === null && !access.allowAnonymous && !isLoopback(host)) {
    problems.push(
      `DIFY_AGENT_HOST: ${host} may be reached from other machines: set DIFY_AGENT_API_TOKEN, or DIFY_AGENT_ALLOW_ANONYMOUS=true where everybody may call.`,
    );
  }
  if ((tls.certFile === null) !== (tls.keyFile === null)) {
    problems.push('DIFY_AGENT_TLS_CERT and DIFY_AGENT_TLS_KEY must be set together.');
  }
  if (corsOrigins.some((origin) => origin.length > 1 && origin.includes('*'))) {
    problems.push('DIFY_AGENT_CORS_ORIGINS: * means any origin and cannot be a part of one.');
  }
  if (maxPendingRequestBytes < maxRequestBytes) {
    problems.push(
      `DIFY_AGENT_MAX_PENDING_REQUEST_BYTES must be at least DIFY_AGENT_MAX_REQUEST_BYTES, which is ${maxRequestBytes}.`,
    );
  }
  return problems;
}

/** What can be meant but is dangerous, one line each: for the log at start and for `check`. */
export function accessWarnings({ host, access, corsOrigins }: AccessParts): readonly string[] {
  if (access.apiToken !== null) return [];
  const warnings: string[] = [];
  if (!isLoopback(host)) {
    warnings.push(
      `DIFY_AGENT_ALLOW_ANONYMOUS is on and DIFY_AGENT_API_TOKEN is not set: everybody who reaches ${host} may run agents and read every run`,
    );
  }
  if (corsOrigins.includes('*')) {
    warnings.push(
      'DIFY_AGENT_CORS_ORIGINS is * and DIFY_AGENT_API_TOKEN is not set: every web page that somebody on this network opens may run agents here',
    );
  }
  return warnings;
}

/**
 * Whether only this machine can reach a listener on this address: `localhost`, 127.0.0.0/8, ::1. Other names count as
 * reachable, whatever they resolve to now, and so do spellings of addresses that only some resolvers understand (`127.1`,
 * `0`): what a name means may change between the question and the answer.
 */
export function isLoopback(host: string): boolean {
  if (/^localhost\.?$/i.test(host)) return true;
  const version = isIP(host);
  if (version === 0) return false;
  const loopback = new BlockList(); // understands every spelling of an IPv6 address, and IPv4 inside it
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  return loopback.check(host, version === 4 ? 'ipv4' : 'ipv6');
}
