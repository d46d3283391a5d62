// The shapes of a tool's messages as the reference declares them: used only to word what is wrong with a message that
// tool-messages.ts could not read (spec 03 §5.6). Good messages never come here.

import {
  absent,
  any,
  bool,
  dict,
  enumeration,
  int,
  list,
  model,
  nullable,
  optional,
  required,
  str,
  union,
} from '../../protocol/dialect.ts';
import { printPydantic } from '../../validation/pydantic.ts';
import { validate } from '../../validation/walker.ts';

const ignore = { extra: 'ignore' } as const;
const freeObject = () => dict(any());

const payload = union({
  TextMessage: model('TextMessage', { text: required(str()) }, ignore),
  JsonMessage: model(
    'JsonMessage',
    { json_object: required(union({ 'dict[str,any]': freeObject(), 'list[any]': list(any()) })) },
    ignore,
  ),
  BlobChunkMessage: model(
    'BlobChunkMessage',
    {
      id: required(str()),
      sequence: required(int()),
      total_length: required(int()),
      blob: required(str()),
      end: required(bool()),
    },
    ignore,
  ),
  BlobMessage: model('BlobMessage', { blob: required(str()) }, ignore),
  LogMessage: model(
    'LogMessage',
    {
      id: required(str()),
      label: required(str()),
      parent_id: optional(nullable(str()), null),
      error: optional(nullable(str()), null),
      status: required(enumeration('start', 'error', 'success')),
      data: optional(nullable(freeObject()), null),
      metadata: optional(nullable(freeObject()), null),
    },
    ignore,
  ),
  FileMessage: model(
    'FileMessage',
    { file_marker: absent(any()) },
    {
      ...ignore,
      check: ({ file_marker }) => (file_marker === undefined ? 'Invalid FileMessage: missing file_marker' : null),
    },
  ),
  VariableMessage: model(
    'VariableMessage',
    { variable_name: required(str()), variable_value: required(any()), stream: optional(any(), false) },
    ignore,
  ),
});

/** Known types in the reference's order. */
const messageSchema = model(
  'DifyPluginToolInvokeMessage',
  {
    type: optional(
      enumeration(
        'text',
        'image',
        'link',
        'blob',
        'json',
        'image_link',
        'binary_link',
        'variable',
        'file',
        'log',
        'blob_chunk',
      ),
      'text',
    ),
    message: required(nullable(payload)),
    meta: optional(any(), null),
  },
  ignore,
);

/** What is wrong with the data of an item, in pydantic's words; for a payload of another type's shape, in ours. */
export function complaintAbout(data: unknown): string {
  const result = validate(messageSchema, data);
  if (!result.ok) return printPydantic('DifyPluginToolInvokeMessage', result.issues, { maskInput: false });
  return `Plugin daemon sent a '${result.value.type}' message with the payload of another type`;
}
