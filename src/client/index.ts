// `dify-agent/client`: what users import.

export * from './builders.ts';
export { type CallOptions, Client, type ClientOptions, type CompletionOptions, type WaitOptions } from './client.ts';
export { cleanupComposition, composition, type Layer } from './composition.ts';
export {
  DifyAgentClientError,
  DifyAgentHTTPError,
  DifyAgentNotFoundError,
  DifyAgentStreamError,
  DifyAgentTimeoutError,
  DifyAgentValidationError,
} from './errors.ts';
export {
  EMPTY_VIEW,
  foldEvent,
  openToolCalls,
  type RunItem,
  type RunView,
  type TextItem,
  type ToolItem,
  textOf,
  thinkingOf,
} from './fold.ts';
export type { Fetch } from './http.ts';
export type * from './layer-options.ts';
export type { StreamOptions } from './stream.ts';
export * from './types.ts';
