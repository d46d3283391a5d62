// The messages of a history layer as a conversation. A snapshot may come from anywhere: every member is looked at before it
// is used, and what is not known is shown as JSON.

import type { JsonObject, JsonValue, SessionSnapshot } from '../../client/types.ts';
import { isObject, textOr } from '../json.ts';

/** One thing that was said. */
export interface Utterance {
  readonly who: 'system' | 'user' | 'model' | 'thinking' | 'call' | 'tool' | 'retry' | 'other';
  /** Of a tool. */
  readonly name: string;
  readonly toolCallId: string;
  /** Text, or a value to be shown as JSON. */
  readonly content: JsonValue;
  /** RFC 3339, or empty. */
  readonly at: string;
}

/** The messages of the layer `history` in a snapshot; null: there is no such layer. */
export function messagesOf(snapshot: SessionSnapshot | null | undefined): readonly JsonValue[] | null {
  const layer = snapshot?.layers.find(({ name }) => name === 'history');
  const messages = layer?.runtime_state.messages;
  return Array.isArray(messages) ? messages : null;
}

export function conversationOf(messages: readonly JsonValue[]): readonly Utterance[] {
  return messages.flatMap((message) => {
    if (!isObject(message)) return [other(message, '')];
    const at = textOr(message.timestamp, '');
    const parts = Array.isArray(message.parts) ? message.parts : [message];
    return parts.flatMap((part) =>
      isObject(part) ? utterancesOf(part, textOr(part.timestamp, at)) : [other(part, at)],
    );
  });
}

function utterancesOf(part: JsonObject, at: string): readonly Utterance[] {
  const said = (who: Utterance['who'], content: JsonValue | undefined): Utterance => ({
    who,
    name: textOr(part.tool_name, ''),
    toolCallId: textOr(part.tool_call_id, ''),
    content: content ?? null,
    at,
  });
  switch (part.part_kind) {
    case 'system-prompt':
      return [said('system', part.content)];
    case 'user-prompt':
      // Texts and files, each for itself.
      return Array.isArray(part.content)
        ? part.content.map((piece) => said('user', isObject(piece) ? withoutData(piece) : piece))
        : [said('user', part.content)];
    case 'text':
      return [said('model', part.content)];
    case 'thinking':
      return [said('thinking', part.content)];
    case 'tool-call':
    case 'builtin-tool-call':
      return [said('call', part.args)];
    case 'tool-return':
    case 'builtin-tool-return':
      return [said('tool', part.content)];
    case 'retry-prompt':
      return [said('retry', part.content)];
    default:
      return [other(part, at)];
  }
}

/** Of a file in Base64 only its size is of interest. */
function withoutData(piece: JsonObject): JsonObject {
  const { data, ...rest } = piece;
  return typeof data === 'string' && data.length > 200 ? { ...rest, data: `${data.length} characters` } : piece;
}

function other(content: JsonValue, at: string): Utterance {
  return { who: 'other', name: '', toolCallId: '', content, at };
}
