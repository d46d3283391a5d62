// The Lua scripts as commands: EVALSHA, and EVAL when the server does not know the script (first use, restart, SCRIPT FLUSH,
// failover). What they do is written in lua/.

import appendBody from './lua/append.lua' with { type: 'text' };
import cancelBody from './lua/cancel.lua' with { type: 'text' };
import checkBody from './lua/check.lua' with { type: 'text' };
import createBody from './lua/create.lua' with { type: 'text' };
import dead from './lua/dead.lua' with { type: 'text' };
import discard from './lua/discard.lua' with { type: 'text' };
import ending from './lua/ending.lua' with { type: 'text' };
import fenced from './lua/fenced.lua' with { type: 'text' };
import finaliseBody from './lua/finalise.lua' with { type: 'text' };
import finaliseLostBody from './lua/finalise-lost.lua' with { type: 'text' };
import indexed from './lua/indexed.lua' with { type: 'text' };
import lease from './lua/lease.lua' with { type: 'text' };
import listBody from './lua/list.lua' with { type: 'text' };
import pageBody from './lua/page.lua' with { type: 'text' };
import record from './lua/record.lua' with { type: 'text' };
import release from './lua/release.lua' with { type: 'text' };
import sessionLoad from './lua/session-load.lua' with { type: 'text' };
import sessionRemove from './lua/session-remove.lua' with { type: 'text' };
import sessionSave from './lua/session-save.lua' with { type: 'text' };
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
    create: script(indexed, createBody),
    dead: script(dead),
    discard: script(discard),
    finalise: script(record, fenced, ending, indexed, finaliseBody),
    finaliseLost: script(record, ending, indexed, finaliseLostBody),
    lease: script(lease),
    list: script(record, indexed, listBody),
    page: script(record, pageBody),
    release: script(release),
    sessionLoad: script(sessionLoad),
    sessionRemove: script(sessionRemove),
    sessionSave: script(sessionSave),
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
