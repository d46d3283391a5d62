// `dify-agent/client`: what users import.

export * from './builders.ts';
export { type CallOptions, Client, type ClientOptions, type CompletionOptions, type WaitOptions } from './client.ts';
export * from './errors.ts';
export { EMPTY_VIEW, foldEvent, type RunItem, type RunView, type TextItem, type ToolItem, textOf } from './fold.ts';
export type { Fetch } from './http.ts';
export type { StreamOptions } from './stream.ts';
export * from './types.ts';
