// Drives a real Chromium over its DevTools protocol: opens pages, evaluates in them, remembers what went wrong and what
// was asked of the network. Just enough for browser tests; no driver package is needed.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until, within } from './until.ts';

/** Where Chromium usually is; CHROMIUM names another place. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** No network of its own: no updates, no telemetry, no QUIC. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
];

/** An open page. */
export interface Page {
  /** Uncaught errors, console errors and what the browser itself logged as one (a refused script, a failed load). */
  readonly errors: readonly string[];
  /** URLs of everything that was requested. */
  readonly requests: readonly string[];
  /** The value of an expression, awaited; must be JSON. */
  evaluate(expression: string): Promise<unknown>;
  /** Waits until the expression is true. */
  waitFor(expression: string): Promise<void>;
  screenshot(file: string): Promise<void>;
}

/** A running browser. */
export interface Browser {
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

/** The path of the browser. @throws with what to install when there is none. */
export function findChromium(): string {
  const given = process.env.CHROMIUM;
  const found = given === undefined ? PLACES.find((place) => existsSync(place)) : given;
  if (found !== undefined && existsSync(found)) return found;
  throw new Error('no Chromium on this machine: install the package "chromium", or set CHROMIUM to its path');
}

/** Starts a browser with a profile of its own. */
export async function startChromium(): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'dify-agent-chromium-'));
  const child = Bun.spawn([findChromium(), ...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const close = async (): Promise<void> => {
    child.kill('SIGKILL');
    await child.exited;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const socket = new WebSocket(await within('the address of DevTools', devToolsUrl(child.stderr), 30_000));
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error('DevTools refused the connection'));
    });
    const devTools = createDevTools(socket);
    return { open: (url) => openPage(devTools, url), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function devToolsUrl(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of stderr) {
    text += decoder.decode(chunk, { stream: true });
    const url = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`Chromium ended at once:\n${text.slice(-2_000)}`);
}

// biome-ignore lint/suspicious/noExplicitAny: the protocol has thousands of shapes; the few that are read are named where they are
type Message = any;

interface DevTools {
  send(method: string, params?: object, sessionId?: string): Promise<Message>;
  listen(sessionId: string, listener: (method: string, params: Message) => void): void;
}

function createDevTools(socket: WebSocket): DevTools {
  const waiting = new Map<number, (message: Message) => void>();
  const listeners = new Map<string, (method: string, params: Message) => void>();
  let id = 0;
  socket.onmessage = ({ data }) => {
    const message: Message = JSON.parse(String(data));
    if (message.id === undefined) listeners.get(message.sessionId)?.(message.method, message.params);
    else waiting.get(message.id)?.(message);
  };
  return {
    async send(method, params = {}, sessionId) {
      id += 1;
      const { promise, resolve } = Promise.withResolvers<Message>();
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ id, method, params, sessionId }));
      const answer = await within(method, promise, 30_000);
      if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
      return answer.result;
    },
    listen: (sessionId, listener) => void listeners.set(sessionId, listener),
  };
}

async function openPage(devTools: DevTools, url: string): Promise<Page> {
  const { targetId } = await devTools.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await devTools.send('Target.attachToTarget', { targetId, flatten: true });
  const errors: string[] = [];
  const requests: string[] = [];
  devTools.listen(sessionId, (method, params) => {
    if (method === 'Runtime.exceptionThrown') {
      errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    } else if (method === 'Runtime.consoleAPICalled' && params.type === 'error') {
      errors.push(params.args.map((arg: Message) => arg.value ?? arg.description).join(' '));
    } else if (method === 'Log.entryAdded' && params.entry.level === 'error') {
      errors.push(`${params.entry.text} ${params.entry.url ?? ''}`);
    } else if (method === 'Network.requestWillBeSent') requests.push(params.request.url);
  });
  const send = (method: string, params?: object) => devTools.send(method, params, sessionId);
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  const evaluate = async (expression: string): Promise<unknown> => {
    const { result, exceptionDetails } = await send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  const { errorText } = await send('Page.navigate', { url });
  if (errorText !== undefined) throw new Error(`${url}: ${errorText}`);
  return {
    errors,
    requests,
    evaluate,
    waitFor: async (expression) => void (await until(expression, () => evaluate(expression), { timeoutMs: 15_000 })),
    async screenshot(file) {
      const { data } = await send('Page.captureScreenshot', {});
      writeFileSync(file, Buffer.from(data, 'base64'));
    },
  };
}
