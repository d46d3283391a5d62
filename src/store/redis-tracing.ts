// node-redis describes every command to Node's diagnostics channels, unless `TracingChannel.hasSubscribers` says that nobody
// listens. Bun's class does not have that getter yet (Node has it since 22), so each command would be copied, wrapped and told to
// nobody.

import { tracingChannel } from 'node:diagnostics_channel';

/** A tracing channel's five channels (https://nodejs.org/api/diagnostics_channel.html#class-tracingchannel). */
const PARTS = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const;

type Channels = Readonly<Record<(typeof PARTS)[number], { readonly hasSubscribers: boolean }>>;

/** Gives tracing channels the getter where they have none. To be called before node-redis is used; again: nothing happens. */
export function ensureTracingCanBeOff(): void {
  const prototype: object = Object.getPrototypeOf(tracingChannel('dify-agent'));
  if ('hasSubscribers' in prototype) return;
  Object.defineProperty(prototype, 'hasSubscribers', {
    configurable: true,
    get(this: Channels) {
      return PARTS.some((part) => this[part].hasSubscribers);
    },
  });
}
