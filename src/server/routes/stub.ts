// The Agent Stub over HTTP (spec 05 §4). It has its own authorisation: a job's token, checked before anything of a body is read
// (§12.1). Handlers read, call an operation of stub/ and name the answer; what they read and answer with is stub-exchange.ts',
// what OpenAPI says of them stub-operations.ts'.

import { Elysia } from 'elysia';
import type { StubCaller } from '../../stub/caller.ts';
import type { AssetBytes } from '../../stub/config-assets.ts';
import type { AssetKind } from '../../stub/names.ts';
import type { StubOperations } from '../../stub/operations.ts';
import { stringifyJson } from '../../wiretext/json.ts';
import type { BodyBudget } from '../body.ts';
import { hidden } from '../openapi/operation.ts';
import { jsonResponse } from '../responses.ts';
import { bytesAnswer, driveQuery, readStubBody, refusal, segmentOf } from './stub-exchange.ts';
import { stubOperations } from './stub-operations.ts';

/** What the stub's routes need. */
export interface StubRoutesDeps {
  /** Made at the first request. */
  readonly operations: () => Promise<StubOperations>;
  /** How long a body may take, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Memory that bodies share with those of other routes. Absent: they are not counted. */
  readonly budget?: BodyBudget;
  /**
   * Lifts the idle time-out of a request's connection: the Dify API may take its time. Returns what sets it again, for a
   * caller may not take its time with the answer, nor keep the connection for ever.
   */
  readonly keepOpen: (request: Request) => () => void;
}

/** Where the name or ticket stands in a path: `/agent-stub/config/files/{name}/pull`. */
const NAME = 4;

/** What an operation is called with. */
interface Call {
  readonly stub: StubOperations;
  /** Its signal is made when it is asked for, which costs: only those ask who wait for somebody else. */
  readonly request: Request;
  /** Percent-encoded. */
  readonly path: string;
}

/** Of somebody with a token. */
interface SecuredCall extends Call {
  readonly caller: StubCaller;
}

/** An Elysia handler's context, as far as it is used. */
interface Context {
  readonly request: Request;
  /** Percent-encoded. */
  readonly path: string;
}

/** The plugin with the stub's routes. */
export function stubRoutes({ operations, bodyTimeoutMs, budget, keepOpen }: StubRoutesDeps) {
  const described = stubOperations();
  const limits = { timeoutMs: bodyTimeoutMs, ...(budget === undefined ? {} : { budget }) };
  // The server's own tokens do not matter here.
  const unlisted = { parse: 'none', detail: hidden({ open: true }) } as const;

  const open =
    (handle: (call: Call) => Promise<Response>) =>
    async ({ request, path }: Context): Promise<Response> => {
      try {
        const stub = await operations();
        return await handle({ stub, request, path });
      } catch (error) {
        return refusal(error, request);
      }
    };
  const secured = (handle: (call: SecuredCall) => Promise<Response>) =>
    open(async (call) => {
      const caller = await call.stub.authenticate(call.request.headers.get('authorization'));
      return handle({ ...call, caller });
    });
  /** Waits for the Dify API as long as it takes. */
  async function patiently<T>({ request }: Call, ask: () => Promise<T>): Promise<T> {
    const becomeImpatient = keepOpen(request);
    try {
      return await ask();
    } finally {
      becomeImpatient();
    }
  }
  /** Asks the Dify API and answers with JSON. */
  const reads = (ask: (call: SecuredCall) => Promise<object>) =>
    secured(async (call) => jsonResponse(200, stringifyJson(await patiently(call, () => ask(call)))));
  /** The same with a body. */
  const writes = (ask: (call: SecuredCall, body: unknown) => Promise<object>) =>
    secured(async (call) => {
      const body = await readStubBody(call.request, limits);
      return jsonResponse(200, stringifyJson(await patiently(call, () => ask(call, body))));
    });
  /** Bytes that pass through; pass.ts sees to it that they are taken. */
  const passes = async ({ request }: Call, asset: () => Promise<AssetBytes>): Promise<Response> => {
    const becomeImpatient = keepOpen(request);
    try {
      const bytes = await asset();
      void bytes.over.then(becomeImpatient);
      return bytesAnswer(bytes);
    } catch (error) {
      becomeImpatient();
      throw error;
    }
  };

  const pull = ({ stub, caller, path, request }: SecuredCall, kind: AssetKind) =>
    stub.config.pull(caller, kind, segmentOf(path, NAME), request.signal);

  return new Elysia({ name: 'stub' })
    .post(
      '/agent-stub/connections',
      secured(async ({ stub, caller, request }) => {
        const body = await readStubBody(request, limits);
        return jsonResponse(200, JSON.stringify(stub.connect(caller, body)));
      }),
      { parse: 'none', detail: described.connect },
    )
    .post(
      '/agent-stub/files/upload-request',
      writes(({ stub, caller, request }, body) => stub.files.requestUpload(caller, body, request.signal)),
      { parse: 'none', detail: described.upload },
    )
    .post(
      '/agent-stub/files/download-request',
      writes(({ stub, caller, request }, body) => stub.files.requestDownload(caller, body, request.signal)),
      { parse: 'none', detail: described.download },
    )
    .get(
      '/agent-stub/drive/manifest',
      reads(({ stub, caller, request }) => stub.drive.manifest(caller, driveQuery(request), request.signal)),
      unlisted,
    )
    .post(
      '/agent-stub/drive/commit',
      writes(({ stub, caller, request }, body) => stub.drive.commit(caller, body, request.signal)),
      unlisted,
    )
    .get(
      '/agent-stub/config/manifest',
      reads(({ stub, caller, request }) => stub.config.manifest(caller, request.signal)),
      unlisted,
    )
    .get(
      '/agent-stub/config/skills/:name/inspect',
      reads(({ stub, caller, path, request }) =>
        stub.config.inspectSkill(caller, segmentOf(path, NAME), request.signal),
      ),
      unlisted,
    )
    .get(
      '/agent-stub/config/skills/:name/pull',
      secured((call) => passes(call, () => pull(call, 'skill'))),
      unlisted,
    )
    .get(
      '/agent-stub/config/files/:name/pull',
      secured((call) => passes(call, () => pull(call, 'file'))),
      unlisted,
    )
    .get(
      '/agent-stub/config/downloads/:ticket',
      open((call) => passes(call, () => call.stub.downloadAsset(segmentOf(call.path, NAME), call.request.signal))),
      unlisted,
    )
    .post(
      '/agent-stub/config/push',
      writes(({ stub, caller, request }, body) => stub.config.push(caller, body, request.signal)),
      unlisted,
    )
    .patch(
      '/agent-stub/config/env',
      writes(({ stub, caller, request }, body) => stub.config.setEnv(caller, body, request.signal)),
      unlisted,
    )
    .put(
      '/agent-stub/config/note',
      writes(({ stub, caller, request }, body) => stub.config.setNote(caller, body, request.signal)),
      unlisted,
    );
}
