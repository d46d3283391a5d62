// Media of prompts and answers as the daemon wants them (spec 03 §3.2): by URL, never downloaded, or as base64.

import { identifierOf } from './identifier.ts';

/** A media part of a prompt message, keys in wire order. */
export interface MediaPart {
  readonly type: 'image' | 'audio' | 'video' | 'document';
  readonly format: string;
  readonly base64_data: string;
  readonly url: string;
  readonly mime_type: string;
  readonly filename: string;
  /** Images only. */
  readonly detail?: 'low' | 'high';
}

type Metadata = Readonly<Record<string, unknown>> | null;

/** Media of a user prompt that stands for a URL, as protocol/messages.ts validates it. */
export interface MediaUrl {
  readonly kind: 'image-url' | 'audio-url' | 'video-url' | 'document-url';
  readonly url: string;
  readonly media_type: string | null;
  readonly vendor_metadata: Metadata;
  readonly identifier: string | null;
}

/** Media given as bytes: of a user prompt, or of a file part. */
export interface Binary {
  readonly kind: 'binary';
  /** URL-safe base64. */
  readonly data: string;
  readonly media_type: string;
  readonly vendor_metadata: Metadata;
  readonly identifier: string | null;
}

const IMAGES = formats('image', { jpeg: 'jpeg', png: 'png', gif: 'gif', webp: 'webp' });
const AUDIO = formats('audio', { mpeg: 'mp3', wav: 'wav', flac: 'flac', ogg: 'oga', aiff: 'aiff', aac: 'aac' });
const VIDEO = formats('video', {
  'x-matroska': 'mkv',
  quicktime: 'mov',
  mp4: 'mp4',
  webm: 'webm',
  'x-flv': 'flv',
  mpeg: 'mpeg',
  'x-ms-wmv': 'wmv',
  '3gpp': 'three_gp',
});
const OFFICE = 'application/vnd.openxmlformats-officedocument';
const DOCUMENTS: ReadonlyMap<string, string> = new Map([
  ['application/pdf', 'pdf'],
  ['text/plain', 'txt'],
  ['text/csv', 'csv'],
  [`${OFFICE}.wordprocessingml.document`, 'docx'],
  [`${OFFICE}.spreadsheetml.sheet`, 'xlsx'],
  ['text/html', 'html'],
  ['text/markdown', 'md'],
  ['application/msword', 'doc'],
  ['application/vnd.ms-excel', 'xls'],
]);
const TABLES = { image: IMAGES, audio: AUDIO, video: VIDEO, document: DOCUMENTS } as const;

/** What a file name's end says about a URL without a media type. */
const EXTENSIONS: ReadonlyMap<string, string> = new Map([
  ...Object.values(TABLES).flatMap((table) => [...table].map(([mime, format]) => [format, mime] as const)),
  ['jpg', 'image/jpeg'],
  ['ogg', 'audio/ogg'],
  ['oga', 'audio/ogg'],
  ['3gp', 'video/3gpp'],
  ['mpg', 'video/mpeg'],
  ['htm', 'text/html'],
]);

/** The part of media by URL. Throws a `reject`ed text when its type is unknown. */
export function urlPart(item: MediaUrl, reject: (text: string) => Error): MediaPart {
  const type = URL_TYPES[item.kind];
  const mime = item.media_type ?? guessMime(item.url);
  const format = mime === null ? undefined : TABLES[type].get(mime);
  if (mime === null || format === undefined) throw reject(`Unknown media type: ${mime ?? item.url}`);
  const filename = `${item.identifier ?? identifierOf(item.url)}.${format}`;
  const part = { type, format, base64_data: '', url: item.url, mime_type: mime, filename };
  return withDetail(part, item.vendor_metadata);
}

const URL_TYPES = {
  'image-url': 'image',
  'audio-url': 'audio',
  'video-url': 'video',
  'document-url': 'document',
} as const;

/** The part of media given as bytes. Throws a `reject`ed text when its type is not supported. */
export function binaryPart(item: Binary, reject: (text: string) => Error): MediaPart {
  const mime = item.media_type;
  const type = typeOf(mime);
  if (type === null) throw reject(`Unsupported binary media type for daemon adapter: ${mime}`);
  const format = TABLES[type].get(mime);
  if (format === undefined) throw reject(`Unknown media type: ${mime}`);
  const bytes = Buffer.from(item.data, 'base64url');
  const filename = `${item.identifier ?? identifierOf(bytes)}.${format}`;
  const part = { type, format, base64_data: bytes.toString('base64'), url: '', mime_type: mime, filename };
  return withDetail(part, item.vendor_metadata);
}

function typeOf(mime: string): MediaPart['type'] | null {
  const main = mime.slice(0, mime.indexOf('/'));
  if (main === 'image' || main === 'audio' || main === 'video') return main;
  return DOCUMENTS.has(mime) ? 'document' : null;
}

function withDetail(part: MediaPart, metadata: Metadata): MediaPart {
  return part.type === 'image' ? { ...part, detail: metadata?.detail === 'high' ? 'high' : 'low' } : part;
}

function guessMime(url: string): string | null {
  const path = url.split(/[?#]/, 1)[0] ?? '';
  const dot = path.lastIndexOf('.');
  return dot < 0 ? null : (EXTENSIONS.get(path.slice(dot + 1).toLowerCase()) ?? null);
}

function formats(main: string, table: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(table).map(([sub, format]) => [`${main}/${sub}`, format]));
}
