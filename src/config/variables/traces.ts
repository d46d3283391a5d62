// Variables of tracing: OpenTelemetry's own names (its specifications "SDK environment variables" and "OTLP exporter"), as far
// as they are about traces over HTTP, and one of ours. As everywhere in OpenTelemetry, an empty text means unset. What
// they amount to together: ../traces.ts.

import { fileName } from '../formats.ts';
import type { ForTraces, RawTraceSettings } from '../traces.ts';
import {
  bad,
  choice,
  decimal,
  flag,
  good,
  integer,
  MAX_TIMER_SECONDS,
  type Parsed,
  type Variable,
  type VariableTree,
  variable,
} from '../variable.ts';

const MAX_TIMER_MS = MAX_TIMER_SECONDS * 1000;
/** Spans that wait; each is about 2 KB, with content up to 32 KiB more. */
const MAX_QUEUE = 65_536;

export const traceVariables: { readonly traces: VariableTree<RawTraceSettings> } = {
  traces: {
    disabled: blankIsUnset(
      flag({ name: 'OTEL_SDK_DISABLED', description: 'Switches tracing off, whatever else is set.', default: false }),
    ),
    exporter: blankIsUnset(
      choice({
        name: 'OTEL_TRACES_EXPORTER',
        description: 'Where traces go; `none` switches tracing off.',
        default: 'otlp',
        choices: ['otlp', 'none'],
      }),
    ),
    endpoint: twice('ENDPOINT', (name, own) =>
      variable<string | null>({
        name,
        description: own
          ? 'Where traces are posted, taken as it is. Setting it or the general one switches tracing on.'
          : 'Base address of an OpenTelemetry collector; traces are posted to `v1/traces` below it. Setting it switches tracing on.',
        allowed: '`http(s)://` URL',
        default: null,
        url: true,
        parse: textOrUnset,
      }),
    ),
    protocol: twice('PROTOCOL', (name) =>
      variable<string | null>({
        name,
        description: 'How the collector is spoken to. Another protocol stops the start when tracing is on.',
        allowed: '`http/json`',
        default: null,
        parse: textOrUnset,
      }),
    ),
    headers: headerList('OTEL_EXPORTER_OTLP_HEADERS', 'Headers for the collector, e.g. its credentials.'),
    tracesHeaders: headerList(
      'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
      'The same for traces alone: added to the general ones, and taken where both have one.',
    ),
    timeoutMs: {
      all: milliseconds('OTEL_EXPORTER_OTLP_TIMEOUT', 'For one post to the collector, retries included.', 10_000, 1),
      own: unsetByDefault(
        milliseconds('OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', 'The same for traces alone.', 10_000, 1),
        `milliseconds, 1 to ${MAX_TIMER_MS}`,
      ),
    },
    compression: {
      all: blankIsUnset(compression('OTEL_EXPORTER_OTLP_COMPRESSION', 'How posts to the collector are compressed.')),
      own: unsetByDefault(compression('OTEL_EXPORTER_OTLP_TRACES_COMPRESSION', 'The same for traces alone.')),
    },
    caFile: twice(
      'CERTIFICATE',
      pemFile('the authorities by which a collector is trusted, in place of the usual ones'),
    ),
    certFile: twice('CLIENT_CERTIFICATE', pemFile('the certificate that is shown to the collector, with its chain')),
    keyFile: twice('CLIENT_KEY', pemFile('the key of the certificate that is shown to the collector')),
    serviceName: variable<string | null>({
      name: 'OTEL_SERVICE_NAME',
      description:
        'Under which name the traces of this server appear. Unset: `service.name` of the resource attributes, else `dify-agent`.',
      allowed: 'text',
      default: null,
      parse: textOrUnset,
    }),
    resourceAttributes: variable<readonly string[]>({
      name: 'OTEL_RESOURCE_ATTRIBUTES',
      description: 'What all traces of this server say about it, e.g. `deployment.environment.name=production`.',
      allowed: '`name=value`, separated by commas, percent-encoded',
      default: [],
      parse: (text) => pairs(text, { name: /^[\x21-\x7e]{1,256}$/, value: /^[^\u0000-\u001f\u007f]*$/u }, 'attributes'),
    }),
    sampler: blankIsUnset(
      choice({
        name: 'OTEL_TRACES_SAMPLER',
        description:
          'Which traces are recorded. With `parentbased_…`, a request whose `traceparent` already says so is treated as it says.',
        default: 'parentbased_always_on',
        choices: [
          'always_on',
          'always_off',
          'traceidratio',
          'parentbased_always_on',
          'parentbased_always_off',
          'parentbased_traceidratio',
        ],
      }),
    ),
    samplerRatio: blankIsUnset(
      decimal({
        name: 'OTEL_TRACES_SAMPLER_ARG',
        description: 'The share of traces that the two `traceidratio` samplers record.',
        default: 1,
        min: 0,
        max: 1,
      }),
    ),
    batch: {
      scheduleDelayMs: milliseconds(
        'OTEL_BSP_SCHEDULE_DELAY',
        'How long a span waits for others before it is sent.',
        5000,
      ),
      exportTimeoutMs: milliseconds('OTEL_BSP_EXPORT_TIMEOUT', 'After which a batch of spans is given up.', 30_000, 1),
      maxQueueSize: count(
        'OTEL_BSP_MAX_QUEUE_SIZE',
        'How many spans wait at most; more are dropped and counted.',
        2048,
      ),
      maxExportBatchSize: count(
        'OTEL_BSP_MAX_EXPORT_BATCH_SIZE',
        'How many spans are sent at once at most; no more than 64 while content is recorded.',
        512,
      ),
    },
    propagators: variable<readonly string[]>({
      name: 'OTEL_PROPAGATORS',
      description:
        'Which trace context is taken from callers and told to peers: `tracecontext` is W3C’s; `baggage` may stand beside it and carries nothing here.',
      allowed: '`tracecontext`, `baggage` or `none`, separated by commas',
      default: ['tracecontext', 'baggage'],
      parse: propagators,
    }),
    content: flag({
      name: 'DIFY_AGENT_TRACE_CONTENT',
      description:
        'Whether traces hold what is said: prompts, answers, arguments and results of tools, each cut after 16 KiB, with configured secrets masked.',
      default: false,
    }),
  },
};

/** As in OpenTelemetry: an empty text is the default. */
function blankIsUnset<T>(declared: Variable<T>): Variable<T> {
  return { ...declared, parse: (text) => (text.trim() === '' ? good(declared.default) : declared.parse(text)) };
}

/** The same, null when unset. */
function unsetByDefault<T>(declared: Variable<T>, allowed = declared.allowed): Variable<T | null> {
  return blankIsUnset<T | null>({ ...declared, allowed, default: null });
}

/** One variable for all signals and one for traces, which is taken where both are set. */
function twice<T>(name: string, declare: (name: string, own: boolean) => Variable<T>): VariableTree<ForTraces<T>> {
  const tree = {
    all: declare(`OTEL_EXPORTER_OTLP_${name}`, false),
    own: declare(`OTEL_EXPORTER_OTLP_TRACES_${name}`, true),
  };
  // VariableTree asks of each member whether it is an object or a list, which cannot be said of a type parameter.
  return tree as VariableTree<ForTraces<T>>;
}

function pemFile(what: string): (name: string, own: boolean) => Variable<string | null> {
  return (name, own) =>
    variable<string | null>({
      name,
      description: own ? 'The same for traces alone.' : `PEM file: ${what}.`,
      allowed: 'file name',
      default: null,
      parse: (text) => (text.trim() === '' ? good(null) : fileName(text.trim())),
    });
}

function milliseconds(name: string, description: string, fallback: number, min = 0): Variable<number> {
  return blankIsUnset(integer({ name, description, default: fallback, min, max: MAX_TIMER_MS, unit: 'milliseconds' }));
}

function count(name: string, description: string, fallback: number): Variable<number> {
  return blankIsUnset(integer({ name, description, default: fallback, min: 1, max: MAX_QUEUE }));
}

function compression(name: string, description: string): Variable<'none' | 'gzip'> {
  return choice({ name, description, default: 'none', choices: ['none', 'gzip'] });
}

function headerList(name: string, description: string): Variable<readonly string[]> {
  return variable<readonly string[]>({
    name,
    description,
    allowed: '`name=value`, separated by commas, percent-encoded',
    default: [],
    secret: true,
    // RFC 9110: a token, and what a value may hold.
    parse: (text) => pairs(text, { name: /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/, value: /^[\x20-\x7e]*$/ }, 'headers'),
  });
}

function textOrUnset(text: string): Parsed<string | null> {
  const trimmed = text.trim();
  if (/[\u0000-\u001f\u007f]/.test(trimmed)) return bad('must be one line of text');
  return good(trimmed === '' ? null : trimmed);
}

const MAX_PAIRS = 128;
const MAX_PAIR_CHARS = 8192;

/** `a=1,b=2`, percent-decoded, as `name=value`. No problem repeats a value. */
function pairs(
  text: string,
  grammar: Readonly<Record<'name' | 'value', RegExp>>,
  what: string,
): Parsed<readonly string[]> {
  const found: string[] = [];
  for (const piece of text.split(',')) {
    const trimmed = piece.trim();
    if (trimmed === '') continue;
    const at = trimmed.indexOf('=');
    const key = trimmed.slice(0, Math.max(at, 0)).trim();
    const value = decoded(trimmed.slice(at + 1).trim());
    const fits = value !== null && key.length + value.length <= MAX_PAIR_CHARS;
    if (!fits || !grammar.name.test(key) || !grammar.value.test(value)) {
      return bad(`must be ${what} like name=value,name=value; commas and percent signs in a value are percent-encoded`);
    }
    found.push(`${key}=${value}`);
  }
  return found.length <= MAX_PAIRS ? good(found) : bad(`must be at most ${MAX_PAIRS} ${what}`);
}

/** Null: not percent-encoded text. */
function decoded(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}

const PROPAGATORS = ['tracecontext', 'baggage', 'none'];

function propagators(text: string): Parsed<readonly string[]> {
  const words = text.split(',').map((word) => word.trim().toLowerCase());
  const given = words.filter((word) => word !== '');
  if (given.length === 0) return good(['tracecontext', 'baggage']);
  if (given.every((word) => PROPAGATORS.includes(word))) return good(given.includes('none') ? [] : given);
  return bad('supports tracecontext alone (and baggage beside it, which carries nothing here), or none');
}
