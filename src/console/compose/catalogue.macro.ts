// What the compose screen knows of the server's schemas: made from the layer registry and the run API's own schemas while the
// page is bundled, so that there is no second list of layers or fields. What a field means comes from docs/layers.
// Runs in Bun at that time only; nothing of the server gets into the page but this data.

import type { Catalogue, LayerInfo, Schema } from './schema.ts';

/** What is used of a layer type (src/layers/types.ts). */
interface LayerType {
  readonly typeId: string;
  readonly className: string;
  readonly config: unknown;
  readonly deps: LayerInfo['deps'];
}

/**
 * The server's modules are named as values: the type checker of the page, which knows browsers, must not follow them.
 * What is asked of them is checked by a test.
 */
interface Registry {
  createLayerTypes(deps: object): readonly LayerType[];
}
interface Messages {
  messageSchemas(made: object): unknown;
}
interface Runs {
  readonly createRunRequest: unknown;
}
interface Secrets {
  readonly SECRET_NAME: RegExp;
}
interface Files {
  readFileSync(path: string, encoding: 'utf8'): string;
}

/** The catalogue. @throws when the server's modules cannot be loaded, or have changed their shape */
export async function bundleCatalogue(): Promise<Catalogue> {
  const [{ createLayerTypes }, { messageSchemas }, { createRunRequest }, { SECRET_NAME }, { readFileSync }] =
    await Promise.all([
      load<Registry>('../../layers/registry.ts'),
      load<Messages>('../../protocol/messages.ts'),
      load<Runs>('../../protocol/runs.ts'),
      load<Secrets>('../../observe/secrets.ts'),
      import('node:fs' as string) as Promise<Files>, // as a value: the page's type checker does not know Node
    ]);
  const types = createLayerTypes({
    messages: messageSchemas({ now: () => '', toolCallId: () => '' }),
    createPluginModel: never,
    pluginDaemon: {},
    shell: null,
    scriptedModel: true,
  });
  const layers = types.map(({ typeId, className, config, deps }): LayerInfo => {
    const page = pageOf(typeId, readFileSync);
    return { type: typeId, className, summary: summaryOf(page), deps, config: described(plain(config), hintsOf(page)) };
  });
  return { request: plain(createRunRequest), layers, secretName: SECRET_NAME.source };
}

function load<T>(path: string): Promise<T> {
  return import(new URL(path, import.meta.url).pathname) as Promise<T>; // the interfaces above say what is in it
}

function never(): never {
  throw new Error('nothing is run while the page is bundled');
}

/** The JSON Schema alone: rules are symbols and vanish, notes of the library begin with `~`. */
function plain(schema: unknown): Schema {
  const text = JSON.stringify(schema, (key, value: unknown) => (key.startsWith('~') ? undefined : value));
  return JSON.parse(text) as Schema; // the dialect writes no other keywords (protocol/dialect.ts)
}

/** The page of a layer type in docs/layers; empty: there is none. `pydantic_ai.history` is in `history.md`. */
function pageOf(type: string, read: Files['readFileSync']): string {
  const short = type.slice(type.indexOf('.') + 1).replace(/[._]/g, '-');
  for (const name of [short, type.replace(/[._]/g, '-')]) {
    try {
      return read(new URL(`../../../docs/layers/${name}.md`, import.meta.url).pathname, 'utf8');
    } catch {
      // Not under this name.
    }
  }
  return '';
}

/** Without marks of Markdown. */
function words(markdown: string): string {
  return markdown
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`*]/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}

/** The first sentence under the title. */
function summaryOf(page: string): string {
  const paragraph = page.split(/\n\s*\n/)[1] ?? '';
  return /^.*?[.:](?=\s|$)/.exec(words(paragraph))?.[0].replace(/:$/, '.') ?? '';
}

/** Path of a field (`turns.items`) → what it is, from the tables `| config | type | default | |` and `` | `tools[]` | … ``. */
function hintsOf(page: string): ReadonlyMap<string, string> {
  const hints = new Map<string, string>();
  let prefix: string | null = null;
  for (const line of page.split('\n')) {
    const cells = /^\|(.*)\|\s*$/.exec(line)?.[1]?.split('|');
    if (cells === undefined) {
      prefix = null;
      continue;
    }
    const [first = '', , , meaning = ''] = cells;
    if (prefix === null) {
      const list = /`(\w+)\[\]`/.exec(first)?.[1];
      prefix = list !== undefined ? `${list}.` : first.trim() === 'config' ? '' : null;
      continue;
    }
    const text = words(meaning);
    // What leans on the rest of its page says nothing here.
    if (text === '' || cells.length < 4 || /\b(?:above|below)\b/.test(text)) continue;
    for (const [, key = ''] of first.matchAll(/`\.?([\w.[\]]+)`/g)) {
      hints.set(prefix + key.replaceAll('[]', ''), text);
    }
  }
  return hints;
}

/** The schema with descriptions at its fields. */
function described(schema: Schema, hints: ReadonlyMap<string, string>, path = ''): Schema {
  const each = (part: Schema): Schema => described(part, hints, path);
  const properties = Object.entries(schema.properties ?? {}).map(([key, value]) => {
    const own = path === '' ? key : `${path}.${key}`;
    const hint = hints.get(own);
    const inner = described(value, hints, own);
    return [
      key,
      hint === undefined || inner.description !== undefined ? inner : { ...inner, description: hint },
    ] as const;
  });
  return {
    ...schema,
    ...(schema.properties === undefined ? {} : { properties: Object.fromEntries(properties) }),
    ...(schema.items === undefined ? {} : { items: each(schema.items) }),
    ...(schema.anyOf === undefined ? {} : { anyOf: schema.anyOf.map(each) }),
  };
}
