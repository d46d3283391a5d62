// What a user prompt may consist of besides text: media by address or inline (spec 06 §3.1). The reference's classes for
// these have a lenient config of their own: unknown keys are dropped.

import { any, dict, literal, model, nullable, optional, required, type Schema, str, tagged, union } from './dialect.ts';

/** An object whose members are not looked at. */
export const freeObject = (): Schema<Readonly<Record<string, unknown>>> => dict(any());

/** The reference's parts are dataclasses: unknown keys are refused in other words than a model's. */
export const dataclass = { flavour: 'dataclass' } as const;

const fileUrl = <const K extends string>(name: string, kind: K) =>
  model(
    name,
    {
      url: required(str()),
      force_download: optional(any(), false),
      vendor_metadata: optional(nullable(freeObject()), null),
      kind: optional(literal(kind), kind),
      media_type: optional(nullable(str()), null),
      identifier: optional(nullable(str()), null),
    },
    { ...dataclass, extra: 'ignore' },
  );

/** One item of a user prompt that is a list: text, media, a cache mark. */
export const userContent = union({
  str: str(),
  content: tagged('kind', {
    'text-content': model(
      'TextContent',
      {
        content: required(str()),
        metadata: optional(any(), null),
        kind: optional(literal('text-content'), 'text-content'),
      },
      dataclass,
    ),
    'image-url': fileUrl('ImageUrl', 'image-url'),
    'audio-url': fileUrl('AudioUrl', 'audio-url'),
    'video-url': fileUrl('VideoUrl', 'video-url'),
    'document-url': fileUrl('DocumentUrl', 'document-url'),
    binary: binaryContent(),
    'cache-point': model(
      'CachePoint',
      { kind: optional(literal('cache-point'), 'cache-point'), ttl: optional(literal('5m', '1h'), '5m') },
      dataclass,
    ),
    'uploaded-file': model(
      'UploadedFile',
      {
        file_id: required(str()),
        provider_name: required(str()),
        vendor_metadata: optional(nullable(freeObject()), null),
        kind: optional(literal('uploaded-file'), 'uploaded-file'),
        media_type: optional(nullable(str()), null),
        identifier: optional(nullable(str()), null),
      },
      { ...dataclass, extra: 'ignore' },
    ),
  }),
});

/** Bytes with their media type, inline. */
export function binaryContent() {
  return model(
    'BinaryContent',
    {
      /** URL-safe base64 with padding. */
      data: required(str()),
      media_type: required(str()),
      vendor_metadata: optional(nullable(freeObject()), null),
      kind: optional(literal('binary'), 'binary'),
      identifier: optional(nullable(str()), null),
    },
    { ...dataclass, extra: 'ignore' },
  );
}
