// Model messages → the daemon's prompt messages (spec 03 §3.2, §3.3; texts 06 §9, §9.1). The seed's rules: system
// messages stay where they are, lists of one text collapse. Content is never null: Go would stop decoding (03 §10.3).

import type { JsonValue } from '../base/json.ts';
import type {
  ModelMessage,
  ModelRequest,
  ModelResponse,
  RequestPart,
  ResponsePart,
  RetryPromptPart,
  ToolCallPart,
  UserPromptPart,
} from '../protocol/messages.ts';
import { stringifyJson } from '../wiretext/json.ts';
import { binaryPart, type MediaPart, urlPart } from './media.ts';

/** Text in a content list. */
export interface TextPart {
  readonly type: 'text';
  readonly data: string;
}

type Content = string | readonly (TextPart | MediaPart)[];

/** A call inside an assistant message. */
export interface PromptToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A prompt message, keys in wire order. */
export type PromptMessage =
  | { readonly role: 'system' | 'user'; readonly content: Content; readonly name: null }
  | {
      readonly role: 'assistant';
      readonly content: Content;
      readonly name: null;
      readonly tool_calls: readonly PromptToolCall[];
    }
  | { readonly role: 'tool'; readonly content: Content; readonly name: string; readonly tool_call_id: string };

/** Makes the error of a text: what cannot be sent to the daemon. */
export type Reject = (text: string) => Error;

/** The prompt messages of a conversation. Throws a `reject`ed text for content that the daemon has no form for. */
export function toPromptMessages(messages: readonly ModelMessage[], reject: Reject): readonly PromptMessage[] {
  const out: PromptMessage[] = [];
  for (const message of messages) {
    if (message.kind === 'request') addRequest(message, out, reject);
    else addResponse(message, out, reject);
  }
  return out;
}

function addRequest(request: ModelRequest, out: PromptMessage[], reject: Reject): void {
  for (const part of request.parts) out.push(requestMessage(part, reject));
}

function requestMessage(part: RequestPart, reject: Reject): PromptMessage {
  switch (part.part_kind) {
    case 'system-prompt':
      return { role: 'system', content: part.content, name: null };
    case 'user-prompt':
      return { role: 'user', content: userContent(part.content, reject), name: null };
    case 'tool-return':
      return {
        role: 'tool',
        content: toolContent(part.content),
        name: part.tool_name,
        tool_call_id: part.tool_call_id,
      };
    case 'retry-prompt':
      return part.tool_name === null
        ? { role: 'user', content: retryText(part), name: null }
        : { role: 'tool', content: retryText(part), name: part.tool_name, tool_call_id: part.tool_call_id };
  }
}

/** An item of a user prompt that is a list. */
function userContent(content: UserPromptPart['content'], reject: Reject): Content {
  if (typeof content === 'string') return content;
  const parts: (TextPart | MediaPart)[] = [];
  for (const item of content) {
    if (typeof item === 'string') parts.push({ type: 'text', data: item });
    else if (item.kind === 'text-content') parts.push({ type: 'text', data: item.content });
    else if (item.kind === 'binary') parts.push(binaryPart(item, reject));
    else if (item.kind === 'uploaded-file') {
      throw reject('UploadedFile content is not supported by the daemon adapter');
    } else if (item.kind !== 'cache-point') parts.push(urlPart(item, reject));
  }
  return collapse(parts);
}

/** One text is a plain string, nothing is the empty string, anything else stays a list. */
function collapse(parts: readonly (TextPart | MediaPart)[]): Content {
  const [first] = parts;
  if (first === undefined) return '';
  return parts.length === 1 && first.type === 'text' ? first.data : parts;
}

/** A tool's result as text: strings as they are, other JSON compact; a list is a list of such texts. */
function toolContent(content: JsonValue): Content {
  const items = isList(content) ? content : [content];
  return collapse(
    items.map((item) => ({ type: 'text', data: typeof item === 'string' ? item : stringifyJson(item) }) as const),
  );
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

const FIX = '\n\nFix the errors and try again.';

/** What the model is told to do better. */
export function retryText(part: RetryPromptPart): string {
  const { content, tool_name } = part;
  if (typeof content === 'string') {
    return tool_name === null ? `Validation feedback:\n${content}${FIX}` : `${content}${FIX}`;
  }
  const errors = content.map(({ type, loc, msg, input }) =>
    // The seed shows the input only where the fault is nested in it (spec 06 §9).
    loc.length > 1 ? { type, loc, msg, input } : { type, loc, msg },
  );
  const count = `${errors.length} validation error${errors.length === 1 ? '' : 's'}`;
  return `${count}:\n\`\`\`json\n${JSON.stringify(errors, null, 2)}\n\`\`\`${FIX}`;
}

function addResponse(response: ModelResponse, out: PromptMessage[], reject: Reject): void {
  const parts: (TextPart | MediaPart)[] = [];
  const calls: PromptToolCall[] = [];
  for (const part of response.parts) {
    switch (part.part_kind) {
      case 'text':
        if (part.content !== '') parts.push({ type: 'text', data: part.content });
        break;
      case 'thinking':
        if (part.content !== '') parts.push({ type: 'text', data: `<think>\n${part.content}\n</think>` });
        break;
      case 'file':
        parts.push(binaryPart(part.content, reject));
        break;
      case 'tool-call':
        calls.push(promptToolCall(part));
        break;
      default:
        throw reject(`Unsupported response part for daemon adapter: ${CLASS_NAMES[part.part_kind]}`);
    }
  }
  if (parts.length === 0 && calls.length === 0) return;
  out.push({ role: 'assistant', content: collapse(parts), name: null, tool_calls: calls });
}

type Unsupported = Exclude<ResponsePart['part_kind'], 'text' | 'thinking' | 'file' | 'tool-call'>;

const CLASS_NAMES: Readonly<Record<Unsupported, string>> = {
  'builtin-tool-call': 'BuiltinToolCallPart',
  'builtin-tool-return': 'BuiltinToolReturnPart',
  compaction: 'CompactionPart',
};

function promptToolCall({ tool_name, tool_call_id, args }: ToolCallPart): PromptToolCall {
  const text = typeof args === 'string' ? args : stringifyJson(args ?? {});
  return {
    id: tool_call_id === '' ? `tool-call-${tool_name}` : tool_call_id,
    type: 'function',
    function: { name: tool_name, arguments: text === '' ? '{}' : text },
  };
}
