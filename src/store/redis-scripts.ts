// The Lua scripts as commands: EVALSHA, and EVAL when the server does not know the script (first use, restart, SCRIPT FLUSH,
// failover). What they do is written in lua/.

import appendBody from './lua/append.lua' with { type: 'text' };
import fenced from './lua/fenced.lua' with { type: 'text' };
import finaliseBody from './lua/finalise.lua' with { type: 'text' };
import page from './lua/page.lua' with { type: 'text' };
import type { RunKeys } from './redis-keys.ts';

/** One script; its keys are always a run's record and events. */
export interface Script {
  /** The command by digest: answered with NOSCRIPT, without any effect, by a server that has not seen the text. */
  bySha(keys: RunKeys, args: readonly string[]): readonly string[];
  /** The command with the whole text, which makes the server know it. */
  byText(keys: RunKeys, args: readonly string[]): readonly string[];
}

export interface Scripts {
  readonly append: Script;
  readonly finalise: Script;
  readonly page: Script;
}

/** Digests the scripts. */
export function createScripts(): Scripts {
  return {
    append: script(`${fenced}\n${appendBody}`),
    finalise: script(`${fenced}\n${finaliseBody}`),
    page: script(page),
  };
}

function script(text: string): Script {
  const sha = new Bun.CryptoHasher('sha1').update(text).digest('hex');
  return {
    bySha: ({ record, events }, args) => ['EVALSHA', sha, '2', record, events, ...args],
    byText: ({ record, events }, args) => ['EVAL', text, '2', record, events, ...args],
  };
}
