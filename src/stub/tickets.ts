// Config downloads of newer sandboxes (spec 05 §4.1, V3): they ask for a URL and fetch it without a header. The URL is one of
// ours and carries a ticket: which asset, for whom, for two minutes, sealed like a token but with a key of its own.

import type { Clock } from '../base/clock.ts';
import { isJsonObject } from '../base/json.ts';
import { executionContextConfig } from '../protocol/execution-context.ts';
import { validate } from '../validation/walker.ts';
import type { StubCaller } from './caller.ts';
import { StubError } from './errors.ts';
import type { AssetKind } from './names.ts';
import { createSealer, MAX_SEALED_CHARS, type Secrets } from './sealer.ts';
import { secondsOf } from './tokens.ts';

const PURPOSE = 'dify-agent:agent-stub:config-download:v1';
/** Clients start to download at once, and may take as long as they like then. */
const TTL_SECONDS = 120;

/** What a ticket opens. */
export interface Ticket {
  readonly caller: StubCaller;
  readonly kind: AssetKind;
  readonly name: string;
}

/** Makes and reads tickets. */
export interface Tickets {
  /** Rejects with StubError 400 when the caller's context is too large for one. */
  issue(ticket: Ticket): Promise<string>;
  /** Null: not a ticket, or too late. */
  read(text: string): Promise<Ticket | null>;
}

/** Tickets of this server's secrets. */
export function createTickets(secrets: Secrets, clock: Clock): Tickets {
  const sealer = createSealer(secrets, PURPOSE);
  return {
    async issue({ caller: { tokenId, context, sessionId }, kind, name }) {
      const exp = secondsOf(clock) + TTL_SECONDS;
      const given = Object.fromEntries(Object.entries(context).filter(([, value]) => value !== null));
      const text = await sealer.seal(JSON.stringify({ exp, kind, name, tokenId, context: given, sessionId }));
      if (text.length > MAX_SEALED_CHARS) {
        throw new StubError(400, 'the execution context is too large for a config download');
      }
      return text;
    },
    async read(text) {
      const plain = await sealer.open(text);
      if (plain === null) return null;
      const value: unknown = JSON.parse(plain); // only we have the key
      if (!isJsonObject(value)) return null;
      const { exp, kind, name, tokenId, sessionId } = value;
      const context = validate(executionContextConfig, value.context, { mode: 'json' });
      if (typeof exp !== 'number' || secondsOf(clock) >= exp || !context.ok) return null;
      if ((kind !== 'file' && kind !== 'skill') || typeof name !== 'string' || typeof tokenId !== 'string') return null;
      const caller = { tokenId, context: context.value, sessionId: typeof sessionId === 'string' ? sessionId : null };
      return { caller, kind, name };
    },
  };
}
