// The messages of `dify.agent.stub.v1` (spec 05 §6) and their bytes, by protobufjs. Loaded only where gRPC is spoken; the
// server's and the sandbox's side share it.

import protobuf from 'protobufjs/light.js';

/** Full name of the service. */
export const SERVICE = 'dify.agent.stub.v1.AgentStubService';

export interface ConnectRequest {
  /** 0 when it was not set, which is invalid here (spec 05 §6). */
  readonly protocol_version: number;
  readonly argv: readonly string[];
  /** A JSON object as text; empty: `{}`. */
  readonly metadata_json: string;
}

export interface ConnectResponse {
  readonly connection_id: string;
  readonly status: string;
}

export interface UploadRequest {
  readonly filename: string;
  readonly mimetype: string;
}

export interface UploadResponse {
  readonly upload_url: string;
}

/** Members that were not on the wire are missing; present and empty counts as given. */
export interface GrpcFileMapping {
  readonly transfer_method: string;
  readonly reference?: string;
  readonly url?: string;
}

export interface DownloadRequest {
  readonly file?: GrpcFileMapping;
  readonly for_frontend?: boolean;
}

export interface DownloadResponse {
  readonly filename: string;
  readonly mime_type?: string;
  readonly size: number;
  readonly download_url: string;
}

/** One kind of message: to and from bytes. */
export interface Codec<T> {
  encode(message: T): Buffer;
  /** Unknown fields are dropped. Throws what protobufjs throws when the bytes are no message. */
  decode(bytes: Buffer): T;
}

/** The messages of the service. */
export interface StubCodecs {
  readonly connectRequest: Codec<ConnectRequest>;
  readonly connectResponse: Codec<ConnectResponse>;
  readonly uploadRequest: Codec<UploadRequest>;
  readonly uploadResponse: Codec<UploadResponse>;
  readonly downloadRequest: Codec<DownloadRequest>;
  readonly downloadResponse: Codec<DownloadResponse>;
}

/** Paths of the three calls. */
export const PATHS = {
  connect: `/${SERVICE}/Connect`,
  upload: `/${SERVICE}/CreateFileUploadRequest`,
  download: `/${SERVICE}/CreateFileDownloadRequest`,
} as const;

const optional = { proto3_optional: true };

const DESCRIPTOR = {
  nested: {
    ConnectRequest: {
      fields: {
        protocol_version: { type: 'int32', id: 1 },
        argv: { rule: 'repeated', type: 'string', id: 2 },
        metadata_json: { type: 'string', id: 3 },
      },
    },
    ConnectResponse: { fields: { connection_id: { type: 'string', id: 1 }, status: { type: 'string', id: 2 } } },
    FileUploadRequest: { fields: { filename: { type: 'string', id: 1 }, mimetype: { type: 'string', id: 2 } } },
    FileUploadResponse: { fields: { upload_url: { type: 'string', id: 1 } } },
    FileMapping: {
      fields: {
        transfer_method: { type: 'string', id: 1 },
        reference: { type: 'string', id: 2, options: optional },
        url: { type: 'string', id: 3, options: optional },
      },
    },
    FileDownloadRequest: {
      fields: {
        file: { type: 'FileMapping', id: 1 },
        // Called for_external at first (spec 05 §6, V2b).
        for_frontend: { type: 'bool', id: 2, options: optional },
      },
    },
    FileDownloadResponse: {
      fields: {
        filename: { type: 'string', id: 1 },
        mime_type: { type: 'string', id: 2, options: optional },
        size: { type: 'int64', id: 3 },
        download_url: { type: 'string', id: 4 },
      },
    },
  },
};

/** Builds the codecs; a few milliseconds. */
export function createCodecs(): StubCodecs {
  const root = protobuf.Root.fromJSON(DESCRIPTOR);
  return {
    connectRequest: codec(root.lookupType('ConnectRequest')),
    connectResponse: codec(root.lookupType('ConnectResponse')),
    uploadRequest: codec(root.lookupType('FileUploadRequest')),
    uploadResponse: codec(root.lookupType('FileUploadResponse')),
    downloadRequest: codec(root.lookupType('FileDownloadRequest')),
    downloadResponse: codec(root.lookupType('FileDownloadResponse')),
  };
}

function codec<T extends object>(type: protobuf.Type): Codec<T> {
  return {
    encode: (message) => Buffer.from(type.encode(withoutDefaults(type, message)).finish()),
    // The plain reader: the one for Buffers takes a text that ends too early for a shorter one.
    // What a type of DESCRIPTOR decodes to has the members that its interface above declares.
    decode: (bytes) => filled(type, type.toObject(type.decode(new protobuf.Reader(bytes)), { longs: Number })) as T,
  };
}

/** Implicit fields are absent on the wire when they have their default; protobufjs writes what it is given. */
function withoutDefaults(type: protobuf.Type, message: object): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    const field = type.fields[name]?.resolve();
    if (field === undefined || value === undefined) continue;
    if (field.resolvedType instanceof protobuf.Type) kept[name] = withoutDefaults(field.resolvedType, value);
    else if (field.repeated || isOptional(field) || value !== defaultOf(field)) kept[name] = value;
  }
  return kept;
}

/** Implicit fields have their default when they were absent. */
function filled(type: protobuf.Type, found: Readonly<Record<string, unknown>>): object {
  const message: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const value = found[field.resolve().name];
    if (field.resolvedType instanceof protobuf.Type) {
      // What `toObject` made of a message is an object.
      if (value !== undefined) message[field.name] = filled(field.resolvedType, value as Record<string, unknown>);
    } else if (value !== undefined) message[field.name] = value;
    else if (field.repeated) message[field.name] = [];
    else if (!isOptional(field)) message[field.name] = defaultOf(field);
  }
  return message;
}

/** Whether absence can be told from the default. */
function isOptional(field: protobuf.Field): boolean {
  return field.options?.proto3_optional === true;
}

/** Of the types in DESCRIPTOR; protobufjs has an object for the zero of 64 bits. */
function defaultOf({ type }: protobuf.Field): string | number {
  return type === 'string' ? '' : 0;
}
