// The Lua scripts as commands: EVALSHA, and EVAL when the server does not know the script (first use, restart, SCRIPT FLUSH,
// failover). What they do is written in lua/.

import appendBody from './lua/append.lua' with { type: 'text' };
import cancelBody from './lua/cancel.lua' with { type: 'text' };
import checkBody from './lua/check.lua' with { type: 'text' };
import create from './lua/create.lua' with { type: 'text' };
import dead from './lua/dead.lua' with { type: 'text' };
import discard from './lua/discard.lua' with { type: 'text' };
import ending from './lua/ending.lua' with { type: 'text' };
import fenced from './lua/fenced.lua' with { type: 'text' };
import finaliseBody from './lua/finalise.lua' with { type: 'text' };
import finaliseLostBody from './lua/finalise-lost.lua' with { type: 'text' };
import lease from './lua/lease.lua' with { type: 'text' };
import pageBody from './lua/page.lua' with { type: 'text' };
import record from './lua/record.lua' with { type: 'text' };
import release from './lua/release.lua' with { type: 'text' };
import trimBody from './lua/trim.lua' with { type: 'text' };
import { RedisRefusal } from './redis-errors.ts';

/** One script. The head of its file says which keys and arguments it takes. */
export interface Script {
  /** The command by digest: answered with NOSCRIPT, without any effect, by a server that has not seen the text. */
  bySha(keys: readonly string[], args: readonly string[]): readonly string[];
  /** The command with the whole text, which makes the server know it. */
  byText(keys: readonly string[], args: readonly string[]): readonly string[];
}

export type Scripts = ReturnType<typeof createScripts>;

/** Digests the scripts. */
export function createScripts() {
  return {
    append: script(record, fenced, appendBody),
    cancel: script(record, cancelBody),
    check: script(record, checkBody),
    create: script(create),
    dead: script(dead),
    discard: script(discard),
    finalise: script(record, fenced, ending, finaliseBody),
    finaliseLost: script(record, ending, finaliseLostBody),
    lease: script(lease),
    page: script(record, pageBody),
    release: script(release),
    trim: script(record, trimBody),
  };
}

function script(...parts: readonly string[]): Script {
  const text = parts.join('\n');
  const sha = new Bun.CryptoHasher('sha1').update(text).digest('hex');
  return {
    bySha: (keys, args) => ['EVALSHA', sha, String(keys.length), ...keys, ...args],
    byText: (keys, args) => ['EVAL', text, String(keys.length), ...keys, ...args],
  };
}

/** Runs a script whatever the server knows of it; `send` sends one command. Rejects as `send` does. */
export async function runScript(
  send: (command: readonly string[]) => Promise<unknown>,
  { bySha, byText }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  try {
    return await send(bySha(keys, args));
  } catch (error) {
    if (!(error instanceof RedisRefusal) || error.code !== 'NOSCRIPT') throw error;
    return send(byText(keys, args));
  }
}
