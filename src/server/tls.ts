// The certificate and key of HTTPS: read once, at start, and checked before anything listens, so that what is wrong with
// them is said in one line that names the variable. A renewed certificate needs a restart.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { CodedError, errorText } from '../base/errors.ts';
import type { TlsSettings } from '../config/settings.ts';

/** What Bun's listener needs, and what people want to know. */
export interface TlsFiles {
  /** PEM. */
  readonly cert: string;
  /** PEM; secret. */
  readonly key: string;
  /** Whom the certificate is for and until when, for `check`. */
  readonly description: string;
  /** What clients will not like, one line each. */
  readonly warnings: readonly string[];
}

const CERT = 'DIFY_AGENT_TLS_CERT';
const KEY = 'DIFY_AGENT_TLS_KEY';

/** A chain has a few kilobytes. */
const MAX_FILE_BYTES = 1_048_576;
const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * The files of the settings; null: plain HTTP. Throws a CodedError `bad_tls` whose text names the variable and repeats
 * nothing of the key.
 */
export function readTlsFiles({ certFile, keyFile }: TlsSettings, now: Date): TlsFiles | null {
  if (certFile === null || keyFile === null) return null;
  const cert = readPem(CERT, certFile);
  const key = readPem(KEY, keyFile);
  const certificate = parseChain(cert, certFile);
  if (!belongs(certificate, parseKey(key, keyFile))) {
    throw bad(KEY, `the key in ${keyFile} does not belong to the certificate in ${certFile} (${CERT})`);
  }
  const { subject, subjectAltName, validFromDate, validToDate } = certificate;
  const name = (subjectAltName ?? subject ?? '').replaceAll('\n', ', ') || 'nobody';
  const day = (date: Date) => date.toISOString().slice(0, 10);
  const warnings: string[] = [];
  if (validToDate <= now) warnings.push(`${CERT}: the certificate in ${certFile} expired on ${day(validToDate)}`);
  if (validFromDate > now) {
    warnings.push(`${CERT}: the certificate in ${certFile} is not valid before ${day(validFromDate)}`);
  }
  return { cert, key, description: `certificate for ${name}, valid until ${day(validToDate)}`, warnings };
}

/** What a listener says about files that it cannot use after all. */
export function badTls(error: unknown): CodedError {
  return bad(CERT, `the certificate cannot be used: ${errorText(error)}`);
}

function readPem(variable: string, path: string): string {
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) throw new Error(`larger than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw bad(variable, `cannot read ${path}: ${errorText(error)}`);
  }
}

/** The first certificate of the chain, which is the server's own; all of them must be readable. */
function parseChain(pem: string, path: string): X509Certificate {
  let first: X509Certificate | undefined;
  try {
    for (const [text] of pem.matchAll(CERTIFICATES)) {
      const certificate = new X509Certificate(text);
      first ??= certificate;
    }
  } catch {
    first = undefined;
  }
  if (first === undefined) throw bad(CERT, `${path} is not a certificate (or a chain of them) in PEM`);
  return first;
}

function parseKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ERR_MISSING_PASSPHRASE') throw bad(KEY, `the key in ${path} has a passphrase; it must have none`);
    throw bad(KEY, `${path} is not a private key in PEM`);
  }
}

function belongs(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false; // of another kind altogether
  }
}

function bad(variable: string, text: string): CodedError {
  return new CodedError('bad_tls', `${variable}: ${text}`);
}
