// The Redis user of docs/stores.md: the one place that lists what the server needs, and what tests run with.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = join(import.meta.dir, '../../docs/stores.md');

/** The rules of `ACL SETUSER dify-agent …` in the documentation, for another password and prefix than it shows. */
export function documentedUser(user: { password: string; prefix?: string }): readonly string[] {
  const { password, prefix = 'dify-agent' } = user;
  const text = readFileSync(PAGE, 'utf8').replaceAll('\\\n', ' ');
  const [shown, ...rules] = /^ACL SETUSER (.*)$/m.exec(text)?.[1]?.split(/\s+/) ?? [];
  if (shown !== 'dify-agent') throw new Error('docs/stores.md shows no user dify-agent');
  return rules.map((rule) => {
    if (rule.startsWith('>')) return `>${password}`;
    return rule === '~dify-agent:*' ? `~${prefix}:*` : rule;
  });
}
