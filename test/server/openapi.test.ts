import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { GUARDED, startWithDoors } from './doors.ts';
import { ask, startServer, type TestServer } from './support.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: string[];
  readonly parameters?: { name: string; in: string; required: boolean; schema: Json }[];
  readonly requestBody?: Json;
  readonly responses: Record<string, Json>;
}
interface Secured {
  readonly security?: Json;
  readonly components: { readonly securitySchemes?: { readonly [name: string]: Json } };
}
interface Document {
  readonly openapi: string;
  readonly info: Json;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, { [key: string]: Json }> };
}

/** What we add to the reference's bodies. */
function withoutExamples(body: Json | undefined): Json | undefined {
  return body === undefined
    ? undefined
    : (JSON.parse(JSON.stringify(body, (key, value: unknown) => (key === 'examples' ? undefined : value))) as Json); // JSON from JSON
}

const reference = JSON.parse(readFileSync('test/fixtures/openapi.json', 'utf8')) as Document;
let server: TestServer;
let ours: Document;
let text: string;

beforeAll(async () => {
  server = await startServer();
  const answer = await ask(`${server.url}/openapi.json`);
  text = answer.text;
  expect(answer.headers.get('content-type')).toBe('application/json');
  ours = JSON.parse(text);
});
afterAll(() => server.stop());

function walk(value: Json, visit: (value: { [key: string]: Json }) => void): void {
  if (Array.isArray(value)) for (const item of value) walk(item, visit);
  else if (typeof value === 'object' && value !== null) {
    visit(value);
    for (const item of Object.values(value)) walk(item, visit);
  }
}

describe('/openapi.json', () => {
  test('has the title, version and dialect of the reference', () => {
    expect([ours.openapi, ours.info]).toEqual([reference.openapi, reference.info]);
  });

  const routes = Object.entries(reference.paths).filter(([path]) => path.startsWith('/runs'));
  for (const [path, operations] of routes) {
    for (const [method, theirs] of Object.entries(operations)) {
      test(`${method} ${path}: id, summary, tags, parameters and body are the reference's`, () => {
        const operation = ours.paths[path]?.[method];
        expect(operation).toMatchObject({
          operationId: theirs.operationId,
          summary: theirs.summary,
          tags: theirs.tags,
        });
        const shape = (parameters: Operation['parameters'] = []) =>
          parameters.map(({ name, in: place, required }) => `${place} ${name} ${required}`);
        expect(shape(operation?.parameters)).toEqual(shape(theirs.parameters));
        expect(withoutExamples(operation?.requestBody)).toEqual(theirs.requestBody as Json);
        for (const status of Object.keys(theirs.responses)) expect(operation?.responses).toHaveProperty(status);
      });
    }
  }

  test('every reference resolves, every component is used', () => {
    const used = new Set<string>();
    walk(ours as unknown as Json, ({ $ref }) => {
      if (typeof $ref === 'string') used.add($ref.replace('#/components/schemas/', ''));
    });
    for (const name of used) expect(Object.keys(ours.components.schemas)).toContain(name);
    for (const name of Object.keys(ours.components.schemas)) expect([...used]).toContain(name);
  });

  test('components that the reference has carry its names and the fields that travel', () => {
    const own = ['ErrorDetail', 'HealthResponse', 'ReadyResponse', 'NotReadyResponse', 'FileFault', 'FileFaultDetail'];
    const theirs = reference.components.schemas;
    for (const [name, schema] of Object.entries(ours.components.schemas)) {
      if (own.includes(name) || name.startsWith('Sandbox')) continue; // a later vintage's
      expect(Object.keys(theirs)).toContain(name);
      for (const field of Object.keys((schema.properties as object | undefined) ?? {})) {
        if (name === 'RunSucceededEventData') continue; // the reference calls it a free object
        expect([name, Object.keys((theirs[name]?.properties as object | undefined) ?? {})]).toEqual([
          name,
          expect.arrayContaining([field]),
        ]);
      }
    }
    for (const name of ['CreateRunRequest', 'RunComposition', 'RunLayerSpec', 'CompositorSessionSnapshot']) {
      expect(Object.keys(ours.components.schemas[name]?.properties as object)).toEqual(
        Object.keys(theirs[name]?.properties as object),
      );
      expect(ours.components.schemas[name]?.required).toEqual(theirs[name]?.required as Json);
    }
  });

  test('is JSON Schema without notes of our libraries', () => {
    // A home directory of an example begins likewise.
    expect(text).not.toMatch(/"~(?!\/)|undefined|\\u0000/);
    walk(ours as unknown as Json, (value) => {
      for (const key of Object.keys(value)) expect(key).not.toStartWith('~');
      if (Array.isArray(value.required) && typeof value.properties === 'object') {
        for (const name of value.required) expect(Object.keys(value.properties as object)).toContain(name as string);
      }
    });
    for (const [path, operations] of Object.entries(ours.paths)) {
      const names = [...path.matchAll(/\{([a-z_]+)\}/g)].map((match) => match[1] ?? '');
      for (const { operationId, parameters = [], responses } of Object.values(operations)) {
        const inPath = parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name);
        expect([operationId, inPath]).toEqual([operationId, names]);
        for (const response of Object.values(responses)) expect(response).toHaveProperty('description');
      }
    }
  });

  test('tags of a union name its members', () => {
    walk(ours as unknown as Json, ({ discriminator, oneOf }) => {
      if (typeof discriminator !== 'object' || discriminator === null || Array.isArray(discriminator)) return;
      const targets = Object.values(discriminator.mapping as Record<string, string>);
      expect(targets).toEqual((oneOf as { $ref: string }[]).map(({ $ref }) => $ref));
    });
  });
});

describe('credentials in the document', () => {
  test('are not mentioned where everybody may call, as in the reference', () => {
    expect(text).not.toContain('"security');
    expect(text).not.toContain('"401"');
    expect((reference as Secured).components.securitySchemes).toBeUndefined();
  });

  test('are asked for where there is a token, except by what is open', async () => {
    const guarded = await startWithDoors({ access: GUARDED });
    const document = JSON.parse((await ask(`${guarded.url}/openapi.json`)).text) as Document & Secured;
    await guarded.stop();
    expect(document.components.securitySchemes).toMatchObject({
      bearer: { type: 'http', scheme: 'bearer' },
      basic: { type: 'http', scheme: 'basic' },
    });
    expect(document.security).toEqual([{ bearer: [] }, { basic: [] }]);
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const operation of Object.values(operations) as (Operation & { readonly security?: Json })[]) {
        const open = path === '/healthz' || path === '/readyz';
        expect([path, operation.security]).toEqual([path, open ? [] : (undefined as never)]);
        expect([path, '401' in operation.responses]).toEqual([path, !open]);
      }
    }
    // Without what is said of credentials it is the document of everybody.
    const { securitySchemes: _, ...components } = document.components;
    const paths = structuredClone(document.paths) as Record<
      string,
      Record<string, { security?: Json; responses: object }>
    >;
    for (const operation of Object.values(paths).flatMap((operations) => Object.values(operations))) {
      delete operation.security;
      operation.responses = Object.fromEntries(
        Object.entries(operation.responses).filter(([status]) => status !== '401'),
      );
    }
    const { security: __, ...rest } = { ...document, components, paths };
    expect(rest as unknown).toEqual(ours);
  });
});

describe('the pages', () => {
  test('Swagger UI comes whole from this server, without inline script', async () => {
    const { status, text: html, headers } = await ask(`${server.url}/docs`);
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(html).not.toMatch(/<script(?![^>]* src=)|https?:|\son[a-z]+=/);
    const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(links.length).toBe(4);
    for (const link of links) {
      const asset = await ask(new URL(link, `${server.url}/docs`).href);
      expect([link, asset.status]).toEqual([link, 200]);
      expect(asset.text.length).toBeGreaterThan(100);
    }
    expect((await ask(`${server.url}/docs/init.js`)).text).toContain("url: 'openapi.json'");
  });

  test('redoc lists every operation', async () => {
    const { status, text: html } = await ask(`${server.url}/redoc`);
    expect(status).toBe(200);
    for (const operations of Object.values(ours.paths)) {
      for (const { operationId } of Object.values(operations)) expect(html).toContain(`id="${operationId}"`);
    }
  });

  test('unknown files are 404, HEAD works, other methods are 405', async () => {
    expect((await ask(`${server.url}/docs/../secret`)).status).toBe(404);
    expect((await ask(`${server.url}/docs/package.json`)).status).toBe(404);
    const head = await ask(`${server.url}/openapi.json`, { method: 'HEAD' });
    expect([head.status, head.text, head.headers.get('content-length')]).toEqual([
      200,
      '',
      String(Buffer.byteLength(text)),
    ]);
    const post = await ask(`${server.url}/docs`, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await ask(`${server.url}/docs/oauth2-redirect`)).status).toBe(200);
  });
});
