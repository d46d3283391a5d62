// `dify/agent/stub/v1/agent_stub.proto` for a library that is not the server's: a descriptor written by hand from spec 05 §6.

import { create, createFileRegistry } from '@bufbuild/protobuf';
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';

const PACKAGE = 'dify.agent.stub.v1';
const FILE = 'dify/agent/stub/v1/agent_stub.proto';

interface Field {
  readonly name: string;
  readonly number: number;
  readonly type: Type;
  readonly repeated?: true;
  readonly optional?: true;
  readonly message?: string;
}

const text = (name: string, number: number, more: Partial<Field> = {}): Field => ({
  name,
  number,
  type: Type.STRING,
  ...more,
});

function message(name: string, fields: readonly Field[]) {
  const optionals = fields.filter(({ optional }) => optional === true);
  return {
    name,
    field: fields.map(({ name: field, number, type, repeated, optional, message: target }) => ({
      name: field,
      number,
      type,
      label: repeated === true ? Label.REPEATED : Label.OPTIONAL,
      ...(target === undefined ? {} : { typeName: `.${PACKAGE}.${target}` }),
      // proto3's `optional` is a oneof of one.
      ...(optional === true
        ? { proto3Optional: true, oneofIndex: optionals.findIndex((candidate) => candidate.name === field) }
        : {}),
    })),
    oneofDecl: optionals.map(({ name: field }) => ({ name: `_${field}` })),
  };
}

const method = (name: string, input: string, output: string) => ({
  name,
  inputType: `.${PACKAGE}.${input}`,
  outputType: `.${PACKAGE}.${output}`,
});

const file = create(FileDescriptorProtoSchema, {
  name: FILE,
  package: PACKAGE,
  syntax: 'proto3',
  messageType: [
    message('ConnectRequest', [
      { name: 'protocol_version', number: 1, type: Type.INT32 },
      text('argv', 2, { repeated: true }),
      text('metadata_json', 3),
    ]),
    message('ConnectResponse', [text('connection_id', 1), text('status', 2)]),
    message('FileUploadRequest', [text('filename', 1), text('mimetype', 2)]),
    message('FileUploadResponse', [text('upload_url', 1)]),
    message('FileMapping', [
      text('transfer_method', 1),
      text('reference', 2, { optional: true }),
      text('url', 3, { optional: true }),
    ]),
    message('FileDownloadRequest', [
      { name: 'file', number: 1, type: Type.MESSAGE, message: 'FileMapping' },
      { name: 'for_frontend', number: 2, type: Type.BOOL, optional: true },
    ]),
    message('FileDownloadResponse', [
      text('filename', 1),
      text('mime_type', 2, { optional: true }),
      { name: 'size', number: 3, type: Type.INT64 },
      text('download_url', 4),
    ]),
  ],
  service: [
    {
      name: 'AgentStubService',
      method: [
        method('Connect', 'ConnectRequest', 'ConnectResponse'),
        method('CreateFileUploadRequest', 'FileUploadRequest', 'FileUploadResponse'),
        method('CreateFileDownloadRequest', 'FileDownloadRequest', 'FileDownloadResponse'),
      ],
    },
  ],
});

const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));

/** The service. */
export const SERVICE = found(registry.getService(`${PACKAGE}.AgentStubService`));

const messageOf = (name: string) => found(registry.getMessage(`${PACKAGE}.${name}`));

/** Its messages. */
export const MESSAGES = {
  ConnectRequest: messageOf('ConnectRequest'),
  FileUploadRequest: messageOf('FileUploadRequest'),
  FileDownloadRequest: messageOf('FileDownloadRequest'),
  FileDownloadResponse: messageOf('FileDownloadResponse'),
};

function found<T>(descriptor: T | undefined): T {
  if (descriptor === undefined) throw new Error('the descriptor is wrong');
  return descriptor;
}
