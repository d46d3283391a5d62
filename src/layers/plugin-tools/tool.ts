// A configured plugin tool as the loop sees it: one call, one request to the daemon, one text for the model. Reading
// arguments, wording results and failures is beside this file; transport is the peer's.

import { readArguments } from '../../agent/arguments.ts';
import type { FunctionTool } from '../../agent/tools.ts';
import type { JsonObject } from '../../base/json.ts';
import { maskSecrets, SECRET_NAME, secretValues } from '../../observe/secrets.ts';
import type { PluginDaemonClient } from '../../peers/plugin-daemon/client.ts';
import { createToolMessageReader } from '../../peers/plugin-daemon/tool-messages.ts';
import type { ExecutionContext } from '../../protocol/execution-context.ts';
import { stringifyJson } from '../../wiretext/json.ts';
import { toolParameters } from './arguments.ts';
import { ToolArgumentError } from './cast.ts';
import type { ToolConfig } from './config.ts';
import { failureText } from './failure.ts';
import { bounded, createObservation } from './observation.ts';

/** What a tool needs of the daemon's client. */
export type ToolDaemon = Pick<PluginDaemonClient, 'apiKey' | 'streamItems'>;

/**
 * The tool that a config describes, for the tenant and user of the context. The context is also what its calls are told
 * apart by where connections are scarce: one object per run. A call rejects only with the signal's reason or a fault of ours.
 */
export function createPluginTool(config: ToolConfig, context: ExecutionContext, daemon: ToolDaemon): FunctionTool {
  const name = config.name || config.tool_name;
  const secrets = configuredSecrets(config);
  // A result may well name a host or a region that is also in the credentials; an error need not.
  const inResults = secretValues(onlyNamedSecrets(secrets), daemon.apiKey);
  const inErrors = secretValues(secrets, daemon.apiKey);

  return {
    kind: 'function',
    sequential: false,
    definition: {
      name,
      description: config.description || name,
      parameters: config.parameters_json_schema,
    },
    validate: readArguments,
    async call(args, signal) {
      try {
        return bounded(maskSecrets(await invoke(config, context, daemon, args, signal), inResults));
      } catch (error) {
        signal.throwIfAborted();
        const text = failureText(error, name);
        if (text === null) throw error;
        return bounded(maskSecrets(text, inErrors));
      }
    },
  };
}

/** Asks the daemon and folds the answer; whatever goes wrong, the text so far is lost (spec 03 §5.6). */
async function invoke(
  config: ToolConfig,
  context: ExecutionContext,
  daemon: ToolDaemon,
  args: JsonObject,
  signal: AbortSignal,
): Promise<string> {
  const call = {
    kind: 'tool',
    tenantId: context.tenant_id,
    pluginId: config.plugin_id,
    userId: context.user_id,
    data: requestData(config, toolParameters(config, args)),
    owner: context,
    exactNumbers: true,
  } as const;
  const reader = createToolMessageReader();
  const observation = createObservation();
  for await (const items of daemon.streamItems(call, signal)) {
    for (const item of items) {
      const message = reader.item(item);
      if (message !== null) observation.add(message);
    }
  }
  return observation.text();
}

/** The `data` of a request, in wire order (spec 03 §5.3). Throws ToolArgumentError for numbers that JSON does not have. */
function requestData(config: ToolConfig, parameters: JsonObject): object {
  try {
    stringifyJson(parameters, { nonFinite: 'throw' });
  } catch (error) {
    if (error instanceof RangeError) throw new ToolArgumentError(error.message);
    throw error;
  }
  return {
    provider: config.provider,
    tool: config.tool_name,
    credentials: config.credentials,
    credential_type: config.credential_type,
    tool_parameters: parameters,
  };
}

type Values = Readonly<Record<string, unknown>>;

/** The credentials, and hidden parameters that are declared secret. */
function configuredSecrets({ credentials, parameters, runtime_parameters: hidden }: ToolConfig): Values {
  const secretInputs = parameters
    .filter(({ type, form }) => type === 'secret-input' && form !== 'llm')
    .map((parameter) => [`secret ${parameter.name}`, hidden[parameter.name] ?? parameter.default] as const);
  return { ...credentials, ...Object.fromEntries(secretInputs) };
}

function onlyNamedSecrets(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([name]) => SECRET_NAME.test(name)));
}
