// The stub's routes in the OpenAPI document: the three of the seed, by the reference's ids, summaries and component names. Those
// of later vintages are for sandboxes alone and stay out of it.

import { nullable, str } from '../../protocol/dialect.ts';
import { connectAnswer, downloadAnswer, uploadAnswer } from '../../stub/answers.ts';
import { connectRequest, seedDownloadRequest, uploadRequest } from '../../stub/schemas.ts';
import { commonAnswers, describe, type Parameter } from '../openapi/operation.ts';

const tags = ['agent-stub'];
const authorization: Parameter = { name: 'Authorization', in: 'header', required: false, schema: nullable(str()) };

/** The three operations. */
export function stubOperations() {
  const { error, invalid } = commonAnswers();
  const refusals = {
    401: error('The token is missing, forged, expired, or its run is over'),
    413: error('The body is over the limit'),
    422: invalid,
    429: error('Too many requests with this token (`Retry-After`)'),
    503: error('The stub, or the Dify API behind it, is not configured'),
  };
  const ofFiles = {
    ...refusals,
    400: error('The token lacks what the operation needs, or the Dify API refuses'),
    502: error('The Dify API cannot be used'),
    504: error('The Dify API does not answer in time'),
  };
  return {
    connect: describe({
      operationId: 'create_connection_agent_stub_connections_post',
      summary: 'Create Connection',
      tags,
      open: true,
      parameters: [authorization],
      body: connectRequest,
      responses: { 200: { description: 'Connected', schema: connectAnswer }, ...refusals },
    }),
    upload: describe({
      operationId: 'create_file_upload_request_agent_stub_files_upload_request_post',
      summary: 'Create File Upload Request',
      tags,
      open: true,
      parameters: [authorization],
      body: uploadRequest,
      responses: { 200: { description: 'Where the file may be put', schema: uploadAnswer }, ...ofFiles },
    }),
    download: describe({
      operationId: 'create_file_download_request_agent_stub_files_download_request_post',
      summary: 'Create File Download Request',
      tags,
      open: true,
      description:
        'Also takes `for_frontend` (or `for_external`; false: a URL that the sandbox itself can fetch), and with it `config` `{kind, name}` in the place of `file`.',
      parameters: [authorization],
      body: seedDownloadRequest,
      responses: { 200: { description: 'Where the file is', schema: downloadAnswer }, ...ofFiles },
    }),
  };
}
