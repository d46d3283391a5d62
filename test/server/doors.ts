// A server with doors: tokens, budgets, origins, a certificate. And certificates, made by openssl in a directory of the test.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Settings } from '../../src/config/settings.ts';
import { type Overrides, startServer, type TestServer } from './support.ts';

export type Doors = Partial<
  Pick<Settings, 'access' | 'tls' | 'corsOrigins' | 'maxPendingRequestBytes' | 'maxRequestBytes' | 'wireVintage'>
>;

export const TOKEN = 'tok-en with a blank';
export const OLDER = 'older-token';
/** Two tokens. */
export const GUARDED: Settings['access'] = { apiToken: TOKEN, apiTokensPrevious: [OLDER], allowAnonymous: false };

/** `startServer` with these settings. */
export function startWithDoors(doors: Doors, overrides: Omit<Overrides, 'settings'> = {}): Promise<TestServer> {
  const settings = { port: 0, ...doors };
  return startServer({ ...overrides, settings });
}

export const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

/** A directory with certificates; `dispose` removes it. */
export interface CertificateFolder {
  readonly path: string;
  /** A key of its own and a self-signed certificate for 127.0.0.1. `days` < 0: expired. */
  make(name: string, days?: number): Promise<{ readonly certFile: string; readonly keyFile: string }>;
  openssl(...args: readonly string[]): Promise<void>;
  dispose(): void;
}

export function certificateFolder(): CertificateFolder {
  const path = mkdtempSync(join(tmpdir(), 'dify-agent-tls-'));
  async function openssl(...args: readonly string[]): Promise<void> {
    const child = Bun.spawn(['openssl', ...args], { cwd: path, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' });
    if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text());
  }
  return {
    path,
    openssl,
    async make(name, days = 2) {
      const files = { certFile: join(path, `${name}.crt`), keyFile: join(path, `${name}.key`) };
      const { certFile, keyFile } = files;
      await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', keyFile);
      const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
      await openssl('req', '-new', '-key', keyFile, ...subject, '-out', `${name}.csr`);
      const sign = ['-req', '-in', `${name}.csr`, '-signkey', keyFile, '-copy_extensions', 'copy'];
      await openssl('x509', ...sign, '-days', String(days), '-out', certFile);
      return files;
    },
    dispose: () => rmSync(path, { recursive: true, force: true }),
  };
}
