// Puts the tool calls of a stream together. Some plugins send a call whole, some repeat it whole under its id, some
// stream pieces of its arguments, some leave ids out: spec 03 §4.2 item 4, §10.4 and 06 §18.2 in one rule.

import type { ModelDelta } from '../agent/model.ts';
import { newToolCallId } from '../base/ids.ts';

/** One entry of a chunk's `tool_calls`. */
export interface ToolCallFragment {
  /** As the plugin sent it: any JSON value. */
  readonly id: unknown;
  readonly name: string;
  readonly args: string;
}

/** Joins the fragments of one response. */
export interface ToolCallJoiner {
  add(fragment: ToolCallFragment, out: ModelDelta[]): void;
  /** Hands out the call whose arguments are still being joined: something else follows, or the stream is over. */
  settle(out: ModelDelta[]): void;
}

interface Call {
  readonly key: string;
  readonly id: string;
  name: string;
  args: string;
  /** Has seen all of `args`. */
  readonly braces: BraceCounter;
}

/** A joiner at the start of a response. `newId` makes ids for calls that have none. */
export function createToolCallJoiner(newId: () => string = newToolCallId): ToolCallJoiner {
  const byVendorId = new Map<string, Call>();
  let count = 0;
  let last: Call | null = null;
  // Appended to since it was last handed out. Pieces are not handed out one by one: each would repeat all before it.
  let unsettled: Call | null = null;

  const emit = (call: Call, out: ModelDelta[]): void => {
    if (unsettled === call) unsettled = null;
    out.push({ kind: 'tool_call', key: call.key, id: call.id, name: call.name, args: call.args });
  };
  const settle = (out: ModelDelta[]): void => {
    if (unsettled !== null) emit(unsettled, out);
  };
  const start = (vendorId: string | null, fragment: ToolCallFragment, out: ModelDelta[]): void => {
    settle(out);
    // A constant id shared by calls of different names is no id (spec 03 §10.4).
    const free = vendorId !== null && !byVendorId.has(vendorId);
    const call: Call = {
      key: `call-${count}`,
      id: free ? vendorId : newId(),
      name: fragment.name,
      args: fragment.args,
      braces: createBraceCounter(),
    };
    call.braces.push(fragment.args);
    count += 1;
    if (vendorId !== null) byVendorId.set(vendorId, call);
    last = call;
    emit(call, out);
  };
  const append = (call: Call, fragment: ToolCallFragment, out: ModelDelta[]): void => {
    last = call;
    if (fragment.args === '' && (fragment.name === '' || call.name !== '')) return;
    if (unsettled !== call) settle(out);
    if (call.name === '') call.name = fragment.name;
    call.args += fragment.args;
    unsettled = call;
    // Parsed only where an object can be over: pieces that end in braces would otherwise cost their square.
    if (call.braces.push(fragment.args) && isObjectText(call.args)) emit(call, out);
  };

  return {
    add(fragment, out) {
      const vendorId = vendorIdOf(fragment.id);
      const known = vendorId === null ? undefined : byVendorId.get(vendorId);
      if (known === undefined) {
        if (vendorId === null && fragment.name === '' && last !== null) append(last, fragment, out);
        else start(vendorId, fragment, out);
      } else if (fragment.name !== '' && known.name !== '' && fragment.name !== known.name) {
        start(vendorId, fragment, out);
      } else if (fragment.name !== '' && isObjectText(fragment.args)) {
        if (unsettled !== known) settle(out);
        known.name = fragment.name;
        known.args = fragment.args;
        known.braces.reset();
        known.braces.push(fragment.args);
        last = known;
        emit(known, out);
      } else append(known, fragment, out);
    },
    settle,
  };
}

/** The plugin's id, or null when it stands for none: absent, blank, or a language's null in any case. */
function vendorIdOf(id: unknown): string | null {
  if (id === null || id === undefined) return null;
  const text = (typeof id === 'string' ? id : JSON.stringify(id)).trim();
  return text === '' || /^(?:none|null)$/i.test(text) ? null : text;
}

/** Counts the open braces of a text that comes in pieces. */
interface BraceCounter {
  /** True when the text so far ends with the brace that closes the first one. */
  push(piece: string): boolean;
  reset(): void;
}

function createBraceCounter(): BraceCounter {
  let depth = 0;
  let inString = false;
  let escaped = false;
  return {
    push(piece) {
      let closed = false;
      for (let i = 0; i < piece.length; i++) {
        const code = piece.charCodeAt(i);
        if (escaped) escaped = false;
        else if (inString) {
          if (code === BACKSLASH) escaped = true;
          else if (code === QUOTE) inString = false;
        } else if (code === QUOTE) inString = true;
        else if (code === OPEN) depth += 1;
        else if (code === CLOSE) {
          depth -= 1;
          closed = depth === 0;
        }
      }
      return closed && depth === 0;
    },
    reset() {
      depth = 0;
      inString = false;
      escaped = false;
    },
  };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/** True for the text of a complete JSON object. */
function isObjectText(text: string): boolean {
  const end = text.trimEnd();
  if (!end.endsWith('}')) return false;
  try {
    const value: unknown = JSON.parse(end);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
