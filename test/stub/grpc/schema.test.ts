// The bytes of the gRPC messages (spec 05 §6): the contract's vectors both ways, presence, and what a newer or a hostile peer sends.

import { describe, expect, test } from 'bun:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { type Codec, createCodecs, PATHS } from '../../../src/stub/grpc/schema.ts';
import { MESSAGES } from './descriptors.ts';

const REFERENCE = 'dify-file-ref:eyJyZWNvcmRfaWQiOiJ0b29sLWZpbGUtMSJ9';
const codecs = createCodecs();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Encodes with codecs that were never used, so that nothing depends on what was encoded before. */
function both<T>(choose: (fresh: ReturnType<typeof createCodecs>) => Codec<T>, message: T, bytes: string): void {
  expect(hex(choose(createCodecs()).encode(message))).toBe(bytes);
  expect(choose(createCodecs()).decode(Buffer.from(bytes, 'hex'))).toEqual(message);
}

describe('the vectors of the contract', () => {
  test('Connect(1, [connect, --, ls], {})', () => {
    const message = { protocol_version: 1, argv: ['connect', '--', 'ls'], metadata_json: '{}' };
    both(({ connectRequest }) => connectRequest, message, '08011207636f6e6e65637412022d2d12026c731a027b7d');
  });

  test('Download(tool_file, reference)', () => {
    both(
      ({ downloadRequest }) => downloadRequest,
      { file: { transfer_method: 'tool_file', reference: REFERENCE } },
      '0a3f0a09746f6f6c5f66696c651232646966792d66696c652d7265663a65794a795a574e76636d5266615751694f694a30623239734c575a70624755744d534a39',
    );
  });

  test('Download(remote_url, flag false)', () => {
    both(
      ({ downloadRequest }) => downloadRequest,
      { file: { transfer_method: 'remote_url', url: 'https://e.x/a' }, for_frontend: false },
      '0a1b0a0a72656d6f74655f75726c1a0d68747470733a2f2f652e782f611000',
    );
  });

  test('DownloadResponse(a.pdf, application/pdf, 123, URL)', () => {
    both(
      ({ downloadResponse }) => downloadResponse,
      { filename: 'a.pdf', mime_type: 'application/pdf', size: 123, download_url: 'https://f/d' },
      '0a05612e706466120f6170706c69636174696f6e2f706466187b220b68747470733a2f2f662f64',
    );
  });
});

describe('presence', () => {
  test('implicit fields with their default are not on the wire, and are there when they were not', () => {
    both(({ connectRequest }) => connectRequest, { protocol_version: 0, argv: [], metadata_json: '' }, '');
    both(({ uploadRequest }) => uploadRequest, { filename: '', mimetype: '' }, '');
    both(({ downloadResponse }) => downloadResponse, { filename: '', size: 0, download_url: '' }, '');
    expect(codecs.connectRequest.decode(Buffer.from('0800', 'hex')).protocol_version).toBe(0);
  });

  test('explicit ones are, also when they are empty; absent ones stay absent', () => {
    const empty = { file: { transfer_method: '', reference: '', url: '' }, for_frontend: false };
    both(({ downloadRequest }) => downloadRequest, empty, '0a0412001a001000');
    both(({ downloadRequest }) => downloadRequest, {}, '');
    both(({ downloadRequest }) => downloadRequest, { file: { transfer_method: '' } }, '0a00');
    const response = { filename: 'x', mime_type: '', size: 0, download_url: '' };
    both(({ downloadResponse }) => downloadResponse, response, '0a01781200');
  });
});

describe('another library', () => {
  test('writes what we read, and reads what we write', () => {
    const request = create(MESSAGES.FileDownloadRequest, {
      file: { transferMethod: 'tool_file', reference: REFERENCE },
      forFrontend: false,
    });
    expect(codecs.downloadRequest.decode(Buffer.from(toBinary(MESSAGES.FileDownloadRequest, request)))).toEqual({
      file: { transfer_method: 'tool_file', reference: REFERENCE },
      for_frontend: false,
    });
    const connect = create(MESSAGES.ConnectRequest, { protocolVersion: 1, argv: ['é€😀', ''], metadataJson: '' });
    expect(hex(codecs.connectRequest.encode({ protocol_version: 1, argv: ['é€😀', ''], metadata_json: '' }))).toBe(
      hex(toBinary(MESSAGES.ConnectRequest, connect)),
    );
  });

  test('sizes beyond 32 bits, and of unknown size', () => {
    for (const size of [5 * 2 ** 40, Number.MAX_SAFE_INTEGER, -1]) {
      const answer = { filename: 'x', size, download_url: 'u' };
      const bytes = codecs.downloadResponse.encode(answer);
      const theirs = create(MESSAGES.FileDownloadResponse, { filename: 'x', size: BigInt(size), downloadUrl: 'u' });
      expect(hex(bytes)).toBe(hex(toBinary(MESSAGES.FileDownloadResponse, theirs)));
      expect(codecs.downloadResponse.decode(bytes)).toEqual(answer);
    }
  });
});

describe('bytes from elsewhere', () => {
  test('fields that we do not know are dropped', () => {
    // Field 9, a varint; field 10, bytes.
    const bytes = Buffer.from(`0a0178${'4801'}${'5203616263'}`, 'hex');
    expect(codecs.uploadRequest.decode(bytes)).toEqual({ filename: 'x', mimetype: '' });
  });

  test('what is no message is refused, whatever it is', () => {
    const bad = ['0a', '0a05', '0a056161', 'ff', '08', '0801', '0d01', '0affffffff0f', '07', '0b'];
    for (const text of bad) expect(() => codecs.uploadRequest.decode(Buffer.from(text, 'hex'))).toThrow();
    // Groups in groups, deeper than any stack.
    expect(() => codecs.uploadRequest.decode(Buffer.alloc(1024 * 1024, 0x4b))).toThrow();
  });

  test('a text that is no UTF-8 does not become something that cannot be sent on', () => {
    const { filename } = codecs.uploadRequest.decode(Buffer.from('0a03eda080', 'hex'));
    expect(JSON.parse(JSON.stringify({ filename }))).toEqual({ filename });
  });
});

test('the paths of the three calls', () => {
  expect(Object.values(PATHS)).toEqual([
    '/dify.agent.stub.v1.AgentStubService/Connect',
    '/dify.agent.stub.v1.AgentStubService/CreateFileUploadRequest',
    '/dify.agent.stub.v1.AgentStubService/CreateFileDownloadRequest',
  ]);
});
