// 16 MiB from a shell job to Dify and back, compared by SHA-256 on both sides.

import { expect } from 'bun:test';
import { readdirSync } from 'node:fs';
import type { SandboxChain } from './sandbox-kit.ts';

const SIZE = 16 * 1024 * 1024;

// Silent until the end: a pause in the output would end the wait for the job.
const SCRIPT = `set -e
head -c ${SIZE} /dev/urandom >big.bin
dify-agent file upload big.bin >up.json 2>errors
reference=$(python3 -c 'import json; print(json.load(open("up.json"))["reference"])')
dify-agent file download tool_file "$reference" back >saved 2>>errors
test ! -s errors
sha256sum <big.bin | cut -c1-64 >sums
sha256sum <"$(cat saved)" | cut -c1-64 >>sums
cat sums saved
`;

/** Does it, in one run, and checks every place. */
export async function roundTrip(chain: SandboxChain): Promise<void> {
  const { results, directory } = await chain.run([SCRIPT]);
  expect(results).toMatchObject([{ exit_code: 0, done: true }]);
  const [up = '', down = '', saved = ''] = (results[0]?.output ?? '').split('\n');
  expect(up).toMatch(/^[0-9a-f]{64}$/);
  expect(down).toBe(up);
  expect(saved).toBe(`${directory}/back/big.bin`);
  expect(readdirSync(`${directory}/back`)).toEqual(['big.bin']);
  const stored = [...chain.api.state.files.values()].at(-1);
  expect(stored).toMatchObject({ tenantId: 't-1', filename: 'big.bin', mimetype: 'application/octet-stream' });
  expect(stored?.bytes.length).toBe(SIZE);
  expect(new Bun.CryptoHasher('sha256').update(stored?.bytes ?? '').digest('hex')).toBe(up);
  expect(chain.api.violations).toEqual([]);
}
