// What the real plugin daemon would refuse, and what would make it misbehave silently (spec 03 §2.3, §3, §10.17).
// Pure: a request in, the first complaint out.

/** A complaint, with the status of the answer and the daemon's error pair. */
export interface Refusal {
  readonly status: number;
  readonly errorType: string;
  readonly message: string;
}

/** The parts of a request that the rules look at. Header names in lower case. */
export interface CheckedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

const LLM_KEYS = 'provider,model_type,model,credentials,prompt_messages,model_parameters,tools,stop,stream';
const TOOL_KEYS = 'provider,tool,credentials,credential_type,tool_parameters';
const CREDENTIAL_TYPES = ['api-key', 'oauth2', 'unauthorized'];
const MESSAGE_KEYS: Readonly<Record<string, string>> = {
  system: 'role,content,name',
  user: 'role,content,name',
  assistant: 'role,content,name,tool_calls',
  tool: 'role,content,name,tool_call_id',
};

/** Which kind of call a path is, or null. */
export function dispatchKind(path: string): 'llm' | 'tool' | null {
  const match = /^\/plugin\/[^/?]+\/dispatch\/(llm|tool)\/invoke$/.exec(path);
  return match === null ? null : match[1] === 'llm' ? 'llm' : 'tool';
}

/** The first thing wrong with a request, or null. */
export function refusal(request: CheckedRequest, apiKey: string): Refusal | null {
  const { method, path, headers, body } = request;
  const kind = dispatchKind(path);
  if (kind === null) return bad(404, `route not found: ${method} ${path}`);
  if (method !== 'POST') return bad(405, `method ${method}`);
  if (headers['x-api-key'] !== apiKey) {
    return { status: 401, errorType: 'PluginDaemonUnauthorizedError', message: 'unauthorized' };
  }
  if ((headers['x-plugin-id'] ?? '') === '') return bad(400, 'plugin_id is required');
  if (headers['content-type'] !== 'application/json') return bad(400, `content-type ${headers['content-type']}`);
  if (headers['content-length'] === undefined) return bad(400, 'no content-length');
  if (!isObject(body)) return bad(400, 'body is not a JSON object');
  const outer = Object.keys(body).join();
  if (outer !== 'data' && outer !== 'data,user_id') return bad(400, `envelope keys ${outer}`);
  if ('user_id' in body && typeof body.user_id !== 'string') return bad(400, 'user_id is not a string');
  if (!isObject(body.data)) return bad(400, 'data is not an object');
  const complaint = kind === 'llm' ? llmComplaint(body.data) : toolComplaint(body.data);
  return complaint === null ? null : bad(400, complaint);
}

function llmComplaint(data: Readonly<Record<string, unknown>>): string | null {
  const keys = Object.keys(data).join();
  if (keys !== LLM_KEYS) return `data keys ${keys}`;
  if (data.model_type !== 'llm') return 'model_type is not llm';
  if (!isFilled(data.provider) || !isFilled(data.model)) return 'provider and model are required';
  if (!isObject(data.credentials) || !isObject(data.model_parameters))
    return 'credentials and model_parameters: objects';
  if (data.stream !== true) return 'stream is not true';
  if (data.stop !== null && !(Array.isArray(data.stop) && data.stop.length > 0)) return 'stop: null or a filled list';
  if (data.tools !== null) {
    if (!Array.isArray(data.tools) || data.tools.length === 0) return 'tools: null or a filled list';
    for (const tool of data.tools) {
      if (!isObject(tool) || Object.keys(tool).join() !== 'name,description,parameters' || !isFilled(tool.name)) {
        return 'a tool is not exactly name, description, parameters';
      }
    }
  }
  if (!Array.isArray(data.prompt_messages)) return 'prompt_messages is not a list';
  for (const message of data.prompt_messages) {
    if (!isObject(message)) return 'a prompt message is not an object';
    const role = String(message.role);
    if (Object.keys(message).join() !== MESSAGE_KEYS[role]) return `keys of a ${role} message`;
    if (typeof message.content !== 'string' && !Array.isArray(message.content)) {
      return `content of a ${role} message is ${message.content === null ? 'null' : typeof message.content}`;
    }
  }
  return null;
}

function toolComplaint(data: Readonly<Record<string, unknown>>): string | null {
  const keys = Object.keys(data).join();
  if (keys !== TOOL_KEYS) return `data keys ${keys}`;
  if (!isFilled(data.provider) || !isFilled(data.tool)) return 'provider and tool are required';
  if (!CREDENTIAL_TYPES.includes(String(data.credential_type))) return `credential_type ${data.credential_type}`;
  if (!isObject(data.credentials)) return 'credentials is not an object';
  if (Object.values(data.credentials).some((value) => typeof value === 'object' && value !== null)) {
    return 'a credential is not a scalar';
  }
  return isObject(data.tool_parameters) ? null : 'tool_parameters is not an object';
}

function bad(status: number, message: string): Refusal {
  return { status, errorType: 'PluginDaemonBadRequestError', message };
}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** A JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
