// What each kind of work looks like as a span: its name, its attributes and how its end is told (OpenTelemetry's semantic
// conventions for HTTP and for generative AI, docs/tracing.md). Pure descriptions: when spans begin and end is probe.ts's.

import { type Attributes, type Span, SpanKind, type SpanOptions, SpanStatusCode } from '@opentelemetry/api';
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
} from '@opentelemetry/semantic-conventions';
import type {
  ModelEnd,
  ModelFacts,
  PeerEnd,
  PeerFacts,
  RequestEnd,
  RequestFacts,
  RunEnd,
  RunFacts,
  StoreOperation,
  ToolEnd,
  ToolFacts,
} from '../probe.ts';
import { type ContentRecorder, shortened } from './content.ts';
import { GEN_AI, OURS, SERVICE_PEER_NAME } from './names.ts';

/** A span that is about to begin. */
export interface Opening {
  readonly name: string;
  readonly options: SpanOptions;
}

/** Names of models, tools and tenants are a caller's texts. */
const MAX_NAME = 200;
/** Of an error's text. */
const MAX_ERROR = 2000;
/** Other methods appear as `_OTHER` (semantic conventions, HTTP spans). */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY']);

function opening(name: string, kind: SpanKind, attributes: Attributes): Opening {
  return { name, options: { kind, attributes } };
}

function named(text: string): string {
  return shortened(text, MAX_NAME);
}

/** A peer's number: collectors refuse a whole post for an integer that is none of 64 bits. */
function counted(count: number): number {
  return Number.isSafeInteger(count) ? count : 0;
}

/** Marks a span as failed. */
function fail(span: Span, type: string, message?: string): void {
  span.setAttribute(ATTR_ERROR_TYPE, named(type));
  span.setStatus({
    code: SpanStatusCode.ERROR,
    ...(message === undefined ? {} : { message: shortened(message, MAX_ERROR) }),
  });
}

export function requestOpening({ method, route, requestId }: RequestFacts): Opening {
  const known = METHODS.has(method);
  return opening(`${known ? method : 'HTTP'}${route === null ? '' : ` ${route}`}`, SpanKind.SERVER, {
    [ATTR_HTTP_REQUEST_METHOD]: known ? method : '_OTHER',
    ...(route === null ? {} : { [ATTR_HTTP_ROUTE]: route }),
    [OURS.requestId]: named(requestId),
  });
}

export function endRequest(span: Span, { status }: RequestEnd): void {
  span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status);
  if (status >= 500) fail(span, String(status));
}

export function runOpening({ runId, tenantId, layers }: RunFacts): Opening {
  return opening('invoke_agent', SpanKind.INTERNAL, {
    [GEN_AI.operationName]: 'invoke_agent',
    [OURS.runId]: runId,
    ...(tenantId === null ? {} : { [OURS.tenantId]: named(tenantId) }),
    [OURS.runLayers]: layers,
  });
}

/** What the store has acknowledged of a run. */
export interface Appends {
  readonly count: number;
  readonly ms: number;
  readonly msMax: number;
}

export function endRun(span: Span, end: RunEnd, appends: Appends): void {
  const { outcome, reason, error } = end;
  span.setAttributes({
    [OURS.runOutcome]: outcome,
    ...(reason === null ? {} : { [OURS.runReason]: reason }),
    [OURS.runEvents]: end.events,
    [OURS.runEventChars]: end.eventChars,
    [GEN_AI.inputTokens]: counted(end.inputTokens),
    [GEN_AI.outputTokens]: counted(end.outputTokens),
    [OURS.storeAppends]: appends.count,
    [OURS.storeAppendMs]: rounded(appends.ms),
    [OURS.storeAppendMsMax]: rounded(appends.msMax),
  });
  if (outcome === 'failed' || outcome === 'lost') fail(span, reason ?? outcome, error ?? undefined);
}

/** To a microsecond: the digits behind it would only cost bytes. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

/** Which model a run talks to; known with its first request. */
export function modelOfRun(span: Span, { provider, model }: ModelFacts): void {
  span.setAttribute(GEN_AI.providerName, named(provider));
  span.setAttribute(GEN_AI.requestModel, named(model));
}

export function modelOpening(facts: ModelFacts, content: ContentRecorder | null): Opening {
  const model = named(facts.model);
  return opening(`chat ${model}`, SpanKind.CLIENT, {
    [GEN_AI.operationName]: 'chat',
    [GEN_AI.providerName]: named(facts.provider),
    [GEN_AI.requestModel]: model,
    [OURS.modelStep]: facts.step,
    ...(content === null ? {} : { [GEN_AI.inputMessages]: content(facts.content) }),
  });
}

export function endModel(span: Span, end: ModelEnd, content: ContentRecorder | null): void {
  const { error, finishReason } = end;
  if (finishReason !== null) span.setAttribute(GEN_AI.finishReasons, [named(finishReason)]);
  span.setAttribute(GEN_AI.inputTokens, counted(end.inputTokens));
  span.setAttribute(GEN_AI.outputTokens, counted(end.outputTokens));
  if (content !== null) span.setAttribute(GEN_AI.outputMessages, content(end.content));
  if (error === 'aborted') span.setAttribute(OURS.aborted, true);
  else if (error !== null) fail(span, error);
}

export function toolOpening(facts: ToolFacts, content: ContentRecorder | null): Opening {
  const tool = named(facts.tool);
  return opening(`execute_tool ${tool}`, SpanKind.INTERNAL, {
    [GEN_AI.operationName]: 'execute_tool',
    [GEN_AI.toolName]: tool,
    [GEN_AI.toolType]: 'function',
    [GEN_AI.toolCallId]: named(facts.callId),
    ...(content === null ? {} : { [GEN_AI.toolCallArguments]: content(facts.content) }),
  });
}

export function endTool(span: Span, end: ToolEnd, content: ContentRecorder | null): void {
  span.setAttribute(OURS.toolOutcome, end.outcome);
  if (content !== null) span.setAttribute(GEN_AI.toolCallResult, content(end.content));
  if (end.outcome === 'aborted') span.setAttribute(OURS.aborted, true);
  if (end.outcome === 'error') fail(span, 'tool_error');
}

export function peerOpening({ peer, method, operation }: PeerFacts): Opening {
  return opening(`${method} ${operation}`, SpanKind.CLIENT, {
    [ATTR_HTTP_REQUEST_METHOD]: method,
    [SERVICE_PEER_NAME]: peer,
    [OURS.peerOperation]: operation,
  });
}

export function endPeer(span: Span, { status, error }: PeerEnd): void {
  if (status !== null) span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status);
  if (error === 'aborted') span.setAttribute(OURS.aborted, true);
  else if (error !== null) fail(span, error);
  else if (status !== null && status >= 400) fail(span, String(status));
}

export function storeOpening(operation: StoreOperation): Opening {
  return opening(`store ${operation}`, SpanKind.INTERNAL, { [OURS.storeOperation]: operation });
}

export function endStore(span: Span, { failed }: { readonly failed: boolean }): void {
  if (failed) fail(span, 'store_unavailable');
}

/** Runs whose owner died: their own spans died with it, so one span says what became of them. */
export function recoveryOpening(runs: number): Opening {
  return opening('recover_runs', SpanKind.INTERNAL, { [OURS.runsRecovered]: runs, [OURS.runOutcome]: 'lost' });
}

export function endRecovery(span: Span): void {
  fail(span, 'worker_lost');
}
