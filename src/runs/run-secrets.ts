// What a run must not tell (spec 07 §8.7): the credentials in its layers' configs and the secrets of the process. Looked for
// when the first error text is about to be shown, which most runs never have. How texts are masked is observe/'s.

import { isJsonObject, type JsonValue } from '../base/json.ts';
import type { LogFields, Logger } from '../observe/logger.ts';
import { isSecret, maskSecrets, SECRET_NAME } from '../observe/secrets.ts';
import type { RunComposition } from '../protocol/runs.ts';
import { parseJson } from '../wiretext/json.ts';

/** The secrets of one run. */
export interface RunSecrets {
  /** The text as it may be shown: secrets masked, at most MAX_TEXT characters. */
  mask(text: string): string;
}

/** Error texts are cut here: an error item of a stream may be as long as a line (8 MiB). Twice the body of an HTTP error. */
export const MAX_TEXT = 128 * 1024;

/** Secrets of a run. A composition with a hundred tools has a few hundred, most of them the same. */
const MAX_SECRETS = 1_000;
/** Of all of them together: what looking for them costs. */
const MAX_SECRET_CHARS = 256 * 1024;
/** A longer secret is looked for in pieces of this length, so that no part of it as long as that is shown. */
const PIECE = 4_096;

/** What is said when there are more secrets than can be looked for. */
const WITHHELD = 'the error is withheld: the composition has too many credentials to keep them out of its text';

/** Members with such names hold secrets, themselves or in what is below them … */
const SECRET_MEMBER = /secret|credential|token|passw|api[_-]?key|authorization/i;
/** … but these only speak of them … */
const NO_SECRET = /_(?:refs?|types?|names?)$/i;
/** … and a schema describes values, it has none. */
const SCHEMA = /schema$/i;

/** The secrets of a composition, and those that the process was configured with. Nothing is looked at before `mask`. */
export function createRunSecrets(
  composition: Pick<RunComposition, 'layers'>,
  configured: readonly string[] = [],
): RunSecrets {
  let found: readonly string[] | null = null;
  let tooMany = false;

  function look(): readonly string[] {
    const inConfigs = composition.layers.flatMap(({ config }) => secretsIn(config));
    // The same list every time: its spellings are known (observe/secrets.ts).
    if (inConfigs.length === 0) return ofProcess(configured);
    const all = [...new Set([...configured, ...inConfigs])].flatMap(pieces);
    tooMany = all.length > MAX_SECRETS || all.reduce((sum, { length }) => sum + length, 0) > MAX_SECRET_CHARS;
    return all;
  }

  return {
    mask(text) {
      found ??= look();
      if (tooMany) return WITHHELD;
      if (text.length <= MAX_TEXT) return maskSecrets(text, found);
      // A secret across the cut is cut as well, and no longer recognised: what may be the rest of one is left out.
      const longest = Math.max(0, ...found.map(({ length }) => length)) * LONGEST_SPELLING;
      const start = maskSecrets(text.slice(0, MAX_TEXT + longest), found);
      return `${start.slice(0, Math.min(MAX_TEXT, start.length - longest))}… (cut)`;
    },
  };
}

// A memo, not state.
const piecesOf = new WeakMap<readonly string[], readonly string[]>();

/** The secrets of the process alone. */
function ofProcess(configured: readonly string[]): readonly string[] {
  let all = piecesOf.get(configured);
  if (all === undefined) {
    all = [...new Set(configured)].flatMap(pieces);
    piecesOf.set(configured, all);
  }
  return all;
}

/** Times its length: a character as `\\\\u0000` in JSON in JSON. */
const LONGEST_SPELLING = 12;

function pieces(secret: string): readonly string[] {
  const count = Math.ceil(secret.length / PIECE);
  const all = Array.from({ length: count }, (_, i) => secret.slice(i * PIECE, (i + 1) * PIECE));
  return all.filter(({ length }) => length >= MIN_SECRET);
}

/** Nothing shorter is masked, whatever its name. */
const MIN_SECRET = 4;

interface Member {
  readonly name: string;
  readonly value: JsonValue;
  /** It is below a member that holds secrets. */
  readonly secret: boolean;
}

/** The secret strings of a config, in any of its wire forms. */
function secretsIn(config: JsonValue): readonly string[] {
  const found: string[] = [];
  const left: Member[] = [{ name: '', value: typeof config === 'string' ? parsed(config) : config, secret: false }];
  for (let member = left.pop(); member !== undefined; member = left.pop()) {
    const { name, value, secret } = member;
    if (typeof value === 'string') {
      if (secret && isSecret(name, value)) found.push(value);
    } else if (Array.isArray(value)) {
      for (const item of value) left.push({ name, value: item, secret });
    } else if (isJsonObject(value)) {
      for (const [key, inner] of Object.entries(value)) {
        if (!SCHEMA.test(key)) left.push({ name: key, value: inner, secret: secret || holdsSecrets(key) });
      }
      found.push(...namedValue(value));
    }
  }
  return found;
}

function holdsSecrets(key: string): boolean {
  return SECRET_MEMBER.test(key) && !NO_SECRET.test(key);
}

/** `{"name": "API_TOKEN", "value": "…"}`, an entry of a shell's environment. */
function namedValue({ name, value }: Readonly<Record<string, JsonValue>>): readonly string[] {
  return typeof name === 'string' && typeof value === 'string' && SECRET_NAME.test(name) && isSecret(name, value)
    ? [value]
    : [];
}

/** A config that is no JSON has no members; its text is never shown (compositor/validated.ts). */
function parsed(config: string): JsonValue {
  const result = parseJson(config);
  return result.ok ? result.value : null;
}

/** A logger of a run: texts and errors of its fields are masked. */
export function maskingLogger(logger: Logger, secrets: RunSecrets): Logger {
  const masked = (fields: LogFields | undefined): LogFields | undefined =>
    fields === undefined
      ? undefined
      : Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, maskedField(value, secrets)]));
  return Object.freeze({
    debug: (message: string, fields?: LogFields) => logger.debug(message, masked(fields)),
    info: (message: string, fields?: LogFields) => logger.info(message, masked(fields)),
    warn: (message: string, fields?: LogFields) => logger.warn(message, masked(fields)),
    error: (message: string, fields?: LogFields) => logger.error(message, masked(fields)),
    child: (fields: LogFields) => maskingLogger(logger.child(masked(fields) ?? {}), secrets),
  });
}

function maskedField(value: unknown, secrets: RunSecrets): unknown {
  if (typeof value === 'string') return secrets.mask(value);
  return value instanceof Error ? maskedError(value, secrets, MAX_CAUSES) : value;
}

const MAX_CAUSES = 4;

/** A copy that prints like the error, with its causes. Never throws: an error's getters are somebody else's. */
function maskedError(error: Error, secrets: RunSecrets, causes: number): unknown {
  try {
    const copy = new Error(secrets.mask(String(error.message)));
    copy.name = error.name;
    if (error.cause instanceof Error && causes > 0) copy.cause = maskedError(error.cause, secrets, causes - 1);
    return copy;
  } catch {
    return 'an error that has no text';
  }
}
