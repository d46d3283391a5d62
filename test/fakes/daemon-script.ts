// The language in which a test says what the fake plugin daemon answers: the items of the recorded traces
// (fixtures/README.md) and a few more. Turns items into the bytes that Go would write; the server plays them.

/** One step of a reply. */
export type ReplyItem =
  /** A text delta in its own TCP write. */
  | string
  /** An item with this data: `{"code":0,"message":"success","data":…}`. */
  | { readonly data: unknown }
  /** A whole envelope. */
  | { readonly frame: unknown }
  /** Text written as it is (one HTTP chunk). */
  | { readonly raw: string }
  /** Bytes written as they are (one HTTP chunk), in a turn of the event loop of their own. */
  | { readonly bytes: Uint8Array }
  /** A text delta whose frame is split at these byte offsets into writes 20 ms apart. */
  | { readonly rawsplit: string; readonly at: readonly number[] }
  /** Milliseconds before the next item. */
  | { readonly delay: number }
  /** Sends the response head now; otherwise it goes out with the first item. */
  | { readonly flush: true }
  /** Closes the socket here: before the head when nothing was written yet. */
  | { readonly cut: true }
  /** Stops listening after this reply. */
  | { readonly stop: true }
  /** Never goes on; ends when the client goes away. */
  | { readonly hang: true }
  /** A whole reply that is not a stream. */
  | { readonly http: number; readonly text?: string; readonly headers?: Readonly<Record<string, string>> }
  /** `repeat` text deltas, `gap_ms` apart (default 0), `batch` of them per TCP write (default 1). */
  | { readonly repeat: number; readonly text: string; readonly gap_ms?: number; readonly batch?: number };

/** The answer to one request. */
export type Reply = readonly ReplyItem[];

/** What the daemon answers: one reply per model call, and per tool name one reply per call; the last of a tool is repeated. */
export interface DaemonScript {
  readonly llm?: readonly Reply[];
  readonly tool?: Readonly<Record<string, readonly Reply[]>>;
  /** Refuses connections until the next script. */
  readonly down?: boolean;
}

const GO_ESCAPES: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

/** JSON as Go's encoder prints it. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (found) => GO_ESCAPES[found] ?? found);
}

/** The envelope of a successful item. */
export function success(data: unknown): unknown {
  return { code: 0, message: 'success', data };
}

/** What the overrides of a chunk may say. */
export interface ChunkParts {
  readonly content?: unknown;
  readonly tool_calls?: unknown;
  readonly usage?: unknown;
  readonly finish_reason?: string | null;
  readonly index?: number;
}

/** The data of a model item, with every key that the real daemon writes (spec 03 §4.1). */
export function chunk(parts: ChunkParts): unknown {
  return {
    model: 'm-daemon',
    system_fingerprint: '',
    prompt_messages: [],
    delta: {
      index: parts.index ?? 0,
      message: {
        role: 'assistant',
        content: parts.content === undefined ? '' : parts.content,
        name: '',
        tool_calls: parts.tool_calls === undefined ? [] : parts.tool_calls,
        tool_call_id: '',
      },
      usage: parts.usage ?? null,
      finish_reason: parts.finish_reason ?? null,
    },
  };
}

/** A usage object as plugins send it. */
export function usage(promptTokens: number, completionTokens: number): Readonly<Record<string, unknown>> {
  return {
    prompt_tokens: promptTokens,
    prompt_unit_price: '0.00015',
    prompt_price_unit: '0.001',
    prompt_price: '0.0000015',
    completion_tokens: completionTokens,
    completion_unit_price: '0.0006',
    completion_price_unit: '0.001',
    completion_price: '0.000003',
    total_tokens: promptTokens + completionTokens,
    total_price: '0.0000045',
    currency: 'USD',
    latency: 0.01,
  };
}

/** The item that ends most streams: empty content, finish reason and usage. */
export function lastItem(finishReason = 'stop', promptTokens = 10, completionTokens = 5): ReplyItem {
  return { data: chunk({ usage: usage(promptTokens, completionTokens), finish_reason: finishReason }) };
}

/** One complete tool call in an item of its own. */
export function toolCallItem(id: unknown, name: string, args: string): ReplyItem {
  return { data: chunk({ tool_calls: [{ id, type: 'function', function: { name, arguments: args } }] }) };
}

/** An error item; `message` is JSON text as the daemon nests it (spec 03 §6.1). */
export function errorItem(code: number, errorType: string, message: string): ReplyItem {
  return { frame: { code, message: goJson({ message, error_type: errorType, args: null }), data: null } };
}

/** An error of the plugin itself: `PluginInvokeError` around the plugin's own pair. */
export function pluginErrorItem(errorType: string, message: string): ReplyItem {
  const inner = goJson({ args: { description: 'desc', traceback: 'Traceback…' }, error_type: errorType, message });
  return errorItem(-500, 'PluginInvokeError', inner);
}

/** `data: …\n\n` of an envelope. */
export function eventText(envelope: unknown): string {
  return `data: ${goJson(envelope)}\n\n`;
}

/** One HTTP chunk. */
export function httpChunk(payload: Uint8Array): Uint8Array {
  const head = Buffer.from(`${payload.length.toString(16)}\r\n`, 'latin1');
  return Buffer.concat([head, payload, Buffer.from('\r\n', 'latin1')]);
}

/** The frame of a text delta, split at byte offsets. */
export function splitFrame(text: string, at: readonly number[]): readonly Uint8Array[] {
  const bytes = Buffer.from(eventText(success(chunk({ content: text }))), 'utf8');
  const cuts = [0, ...at, bytes.length];
  return cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end));
}
