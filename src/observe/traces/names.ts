// Names of attributes that are not in the stable part of OpenTelemetry's semantic conventions. The GenAI ones are copied, as
// the conventions ask of users, because their module is 770 KB; a test compares them with the installed one. Those that begin
// with `dify_agent.` are ours.

export const SERVICE_INSTANCE_ID = 'service.instance.id';
export const SERVICE_PEER_NAME = 'service.peer.name';

export const GEN_AI = Object.freeze({
  operationName: 'gen_ai.operation.name',
  providerName: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  finishReasons: 'gen_ai.response.finish_reasons',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  inputMessages: 'gen_ai.input.messages',
  outputMessages: 'gen_ai.output.messages',
  toolName: 'gen_ai.tool.name',
  toolType: 'gen_ai.tool.type',
  toolCallId: 'gen_ai.tool.call.id',
  toolCallArguments: 'gen_ai.tool.call.arguments',
  toolCallResult: 'gen_ai.tool.call.result',
});

export const OURS = Object.freeze({
  requestId: 'dify_agent.request.id',
  runId: 'dify_agent.run.id',
  tenantId: 'dify_agent.tenant.id',
  runLayers: 'dify_agent.run.layers',
  runOutcome: 'dify_agent.run.outcome',
  runReason: 'dify_agent.run.reason',
  runEvents: 'dify_agent.run.events',
  /** Characters of payload. */
  runEventChars: 'dify_agent.run.event_chars',
  /** Appends to the store that were acknowledged, how long they took together and the longest, in ms. */
  storeAppends: 'dify_agent.store.appends',
  storeAppendMs: 'dify_agent.store.append_ms',
  storeAppendMsMax: 'dify_agent.store.append_ms_max',
  storeOperation: 'dify_agent.store.operation',
  modelStep: 'dify_agent.model.step',
  toolOutcome: 'dify_agent.tool.outcome',
  peerOperation: 'dify_agent.peer.operation',
  /** The run was stopped, so this ended without an answer. */
  aborted: 'dify_agent.aborted',
  runsRecovered: 'dify_agent.runs.recovered',
});
