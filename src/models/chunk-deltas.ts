// Model chunks → deltas, in the order of spec 03 §4.2: usage, finish reason, content, tool calls.

import type { ModelDelta } from '../agent/model.ts';
import type { FinishReason } from '../protocol/messages.ts';
import { decodeBase64 } from '../wiretext/base64.ts';
import { identifierOf } from './identifier.ts';
import { type ContentItem, type LlmChunk, readLlmChunk } from './llm-chunk.ts';
import { createThinkSplitter, splitListText } from './think-splitter.ts';
import { createToolCallJoiner } from './tool-call-joiner.ts';

/** Reads the items of one response. */
export interface ChunkReader {
  /** Appends what the data of an item says. Throws what `reject` makes when it is no chunk. */
  item(data: unknown, out: ModelDelta[]): void;
  /** The stream is over. */
  end(out: ModelDelta[]): void;
}

/** Text of the failure for media that a model answers by reference. */
const URL_MEDIA = 'URL-based assistant multimodal output is not supported by the daemon adapter';

/** A reader at the start of a response. `reject` makes the error of a text. */
export function createChunkReader(reject: (text: string) => Error): ChunkReader {
  const splitter = createThinkSplitter();
  const calls = createToolCallJoiner();

  const addList = (items: readonly ContentItem[], out: ModelDelta[]): void => {
    for (const item of items) {
      if (item.type === 'text') {
        if (typeof item.data === 'string' && item.data !== '') splitListText(item.data, out);
      } else if (isMedia(item.type)) {
        if (typeof item.url === 'string' && item.url !== '') throw reject(URL_MEDIA);
        if (typeof item.base64_data === 'string' && item.base64_data !== '') {
          const bytes = decodeBase64(item.base64_data);
          if (typeof bytes === 'string') throw reject(bytes); // as Python words what it cannot decode
          out.push(fileOf(item, bytes));
        }
      }
    }
  };

  const addContent = (content: LlmChunk['content'], out: ModelDelta[]): void => {
    if (content.length === 0) return;
    calls.settle(out);
    if (typeof content === 'string') splitter.push(content, out);
    else addList(content, out);
  };

  return {
    item(data, out) {
      const chunk = readLlmChunk(data, reject);
      if (chunk.usage !== null) out.push({ kind: 'usage', ...chunk.usage });
      // An empty reason is none: some plugins send it with every chunk (spec 03 §10.12).
      if (chunk.finishReason) out.push({ kind: 'finish', reason: finishReasonOf(chunk.finishReason) });
      addContent(chunk.content, out);
      for (const call of chunk.toolCalls) {
        calls.add({ id: call.id, name: call.function.name ?? '', args: call.function.arguments ?? '' }, out);
      }
    },
    end(out) {
      calls.settle(out);
      splitter.flush(out);
    },
  };
}

const FINISH_REASONS: ReadonlyMap<string, FinishReason> = new Map([
  ['stop', 'stop'],
  ['length', 'length'],
  ['content_filter', 'content_filter'],
  ['error', 'error'],
  ['tool_call', 'tool_call'],
  ['tool_calls', 'tool_call'],
  ['function_call', 'tool_call'],
  ['function_calls', 'tool_call'],
  // Synonyms of vendors that the reference takes for errors (spec 03 §10.12).
  ['end_turn', 'stop'],
  ['eos', 'stop'],
  ['max_tokens', 'length'],
  ['tool_use', 'tool_call'],
]);

/** The normalised finish reason; what nobody knows is `error` (spec 03 §4.2). */
export function finishReasonOf(text: string): FinishReason {
  return FINISH_REASONS.get(text.toLowerCase()) ?? 'error';
}

function isMedia(type: unknown): boolean {
  return type === 'image' || type === 'audio' || type === 'video' || type === 'document';
}

function fileOf(item: ContentItem, bytes: Buffer): ModelDelta {
  return {
    kind: 'file',
    data: bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_'),
    mediaType: typeof item.mime_type === 'string' ? item.mime_type : '',
    identifier: identifierOf(bytes),
  };
}
