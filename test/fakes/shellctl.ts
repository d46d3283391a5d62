// A shellctl for tests: executes real scripts with /bin/sh under a private home, as strictly as spec 04 §1 and §6 say, and like the
// Python or the Go server. It can be slow, hang, vanish, reject the token, answer garbage, stall or lose a workspace. Unlike the
// real ones it has no terminal (shellctl/job.ts). Everything it started is killed when it stops.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Dialect, declared, Refusal } from './shellctl/dialect.ts';
import { type HttpReply, type HttpRequest, startHttpServer } from './shellctl/http.ts';
import { createService, type Service } from './shellctl/service.ts';

export type { Dialect } from './shellctl/dialect.ts';
export type { HttpReply } from './shellctl/http.ts';

/** What goes wrong with a request, instead of or around its answer. */
export type Fault =
  /** Nothing is answered until the client goes away. */
  | 'hang'
  /** Done as asked, but the connection is closed instead of answering. */
  | 'lose-answer'
  /** This is sent instead. */
  | { readonly reply: HttpReply }
  /** First so much time passes. */
  | { readonly delayMs: number };

/** A request as it arrived. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed, or undefined when it is not JSON. */
  readonly body: unknown;
}

/** Options of the fake. */
export interface FakeShellctlOptions {
  /** Default `python`. */
  readonly dialect?: Dialect;
  /** Empty: no authentication. Default DEFAULT_TOKEN. */
  readonly token?: string;
  /** What jobs inherit beside PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
  /** False: logs keep bytes that are no UTF-8, at which windows stall (spec 04 §5.11). Default true. */
  readonly sanitise?: boolean;
  /** False: `env` of a run is an unknown field, as it is for 2.1.1 of the Python server. Default true. */
  readonly takesEnv?: boolean;
}

/** A running fake. */
export interface FakeShellctl {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly token: string;
  /** `~` and `$HOME` of its jobs. */
  readonly home: string;
  /** Requests since the start or the last `forgetRequests`. */
  readonly requests: readonly RecordedRequest[];
  forgetRequests(): void;
  /** What to do with each request that is authorised; null: answer it. Replaces the one before; null: no faults. */
  fault(choose: ((request: RecordedRequest) => Fault | null) | null): void;
  /** The token that is accepted from now on. */
  setToken(token: string): void;
  /** Windows do not move on while this is on. */
  stall(on: boolean): void;
  /** Closes the port and every connection; jobs go on. */
  vanish(): void;
  /** Listens again, on the same port. */
  reappear(): void;
  /** Removes a workspace, or all of them, behind everybody's back. */
  loseWorkspaces(sessionId?: string): void;
  /** Forgets finished jobs, as the garbage collection does. */
  expireJobs(): void;
  /** Jobs that it has, oldest first. */
  jobIds(): readonly string[];
  openSockets(): number;
  acceptedSockets(): number;
  /** Closes everything, kills every process that runs in its home, removes the home. */
  stop(): void;
}

/** The token when none is given. */
export const DEFAULT_TOKEN = 'fake-shellctl-token';

/** Starts a fake on 127.0.0.1, on a free port. */
export function startFakeShellctl(options: FakeShellctlOptions = {}): FakeShellctl {
  const { dialect = 'python', token = DEFAULT_TOKEN, env = {}, sanitise = true, takesEnv = true } = options;
  // Resolved: jobs see the real path of their directory.
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'fake-shellctl-')));
  const jobsDir = join(home, '.local/state/shellctl/jobs');
  mkdirSync(jobsDir, { recursive: true });
  const inherited = { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8', TERM: 'dumb', ...env, HOME: home };
  const service = createService({ dialect, home, jobsDir, env: inherited, sanitise, takesEnv });
  const requests: RecordedRequest[] = [];
  let choose: ((request: RecordedRequest) => Fault | null) | null = null;
  let accepted = token;

  const handle = async (request: HttpRequest): Promise<HttpReply> => {
    const recorded: RecordedRequest = {
      method: request.method,
      path: request.path,
      query: request.query.toString(),
      headers: request.headers,
      body: parse(request.bodyText),
    };
    requests.push(recorded);
    const isOpen = request.path === '/healthz' || accepted === '';
    if (!isOpen && request.headers.authorization !== `Bearer ${accepted}`) {
      return refused(declared(401, 'unauthorized', 'Missing or invalid bearer token'));
    }
    const fault = choose?.(recorded) ?? null;
    if (fault === 'hang') {
      await new Promise<void>((resolve) => request.gone.addEventListener('abort', () => resolve(), { once: true }));
      return 'cut';
    }
    if (fault !== null && fault !== 'lose-answer') {
      if ('reply' in fault) return fault.reply;
      await Bun.sleep(fault.delayMs);
    }
    const reply = await answer(service, dialect, request);
    return fault === 'lose-answer' ? 'cut' : reply;
  };
  const server = startHttpServer(handle);

  return {
    url: `http://127.0.0.1:${server.port}`,
    token,
    home,
    requests,
    forgetRequests() {
      requests.length = 0;
    },
    fault(chosen) {
      choose = chosen;
    },
    setToken(text) {
      accepted = text;
    },
    stall: (on) => service.stall(on),
    vanish: () => server.vanish(),
    reappear: () => server.reappear(),
    loseWorkspaces: (sessionId = '') => rmSync(join(home, 'workspace', sessionId), { recursive: true, force: true }),
    expireJobs: () => service.expire(),
    jobIds: () => service.jobIds(),
    openSockets: () => server.openSockets(),
    acceptedSockets: () => server.acceptedSockets(),
    stop() {
      server.vanish();
      service.close();
      killProcessesIn(home);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function answer(service: Service, dialect: Dialect, request: HttpRequest): Promise<HttpReply> {
  try {
    return { status: 200, body: JSON.stringify(await route(service, request)) };
  } catch (error) {
    if (error instanceof Refusal) return refused(error);
    const text = 'Internal Server Error';
    return dialect === 'go'
      ? refused(declared(500, 'internal_error', String(error)))
      : { status: 500, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: text };
  }
}

async function route(service: Service, { method, path, query, bodyText, gone }: HttpRequest): Promise<object> {
  if (method === 'GET' && path === '/healthz') return { status: 'ok' };
  if (method === 'GET' && path === '/v1/jobs') return service.list(query);
  if (method === 'POST' && path === '/v1/jobs/run') return await service.run(bodyText, gone);
  const match = /^\/v1\/jobs\/([^/]+)(\/.*)?$/.exec(path);
  if (match === null) throw new Refusal(404, { detail: 'Not Found' });
  const [, encoded = '', action = ''] = match;
  const id = decodeURIComponent(encoded);
  switch (`${method} ${action}`) {
    case 'POST /wait':
      return await service.wait(id, bodyText, gone);
    case 'POST /input':
      return await service.input(id, bodyText, gone);
    case 'POST /terminate':
      return await service.terminate(id, bodyText);
    case 'GET /log/tail':
      return service.tail(id, query);
    case 'GET ':
      return service.status(id);
    case 'DELETE ':
      return await service.delete(id, query);
    default:
      throw new Refusal(404, { detail: 'Not Found' });
  }
}

function refused({ status, body }: Refusal): HttpReply {
  return { status, body };
}

/** Also those that left the group of their job: what runs with this HOME was started here (Linux only). */
function killProcessesIn(home: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`HOME=${home}`)) continue;
      if (Number(pid) !== process.pid) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It is gone, or not ours.
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
