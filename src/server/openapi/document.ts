// The OpenAPI 3.1.0 document, made of what the routes say about themselves. Title and version are the reference's
// (spec 01 §1): generated clients compare them. Credentials are in it only where the server asks for some.

import { type DocumentDecoration, Elysia } from 'elysia';
import { ruleOf } from '../../protocol/dialect.ts';
import { exitIntent, layerConfigInput, layerConfigValue, lifecycleState } from '../../protocol/runs.ts';
import { createComponentBuilder } from './components.ts';
import { withExamples } from './examples.ts';
import { commonAnswers, describe, isOpen } from './operation.ts';

/** A route with Elysia's `detail`. */
export interface DescribedRoute {
  readonly method: string;
  readonly path: string;
  readonly detail: DocumentDecoration | undefined;
}

/** How a token travels: either will do. */
const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'The API token' },
  basic: { type: 'http', scheme: 'basic', description: 'Any user name, the API token as password' },
};
const SECURITY = [{ bearer: [] }, { basic: [] }];

const TITLE = 'Dify Agent Run Server';
const VERSION = '0.1.0';

/** Where the generator is asked for its answer; nobody else ever sees this path. */
const SPEC_URL = 'http://localhost/json';

/**
 * The document as compact JSON. Routes that are hidden or say nothing are left out.
 * `@elysiajs/swagger` puts it together (it is loaded for that, once); the schemas are ours, as `$ref`s to components.
 *
 * @param secured whether callers need a token; without one nothing is said of credentials, as in the reference
 */
export async function openApiDocument(routes: readonly DescribedRoute[], secured: boolean): Promise<string> {
  const { swagger } = await import('@elysiajs/swagger');
  const builder = createComponentBuilder(
    new Map([
      [ruleOf(exitIntent), 'ExitIntent'],
      [ruleOf(lifecycleState), 'LifecycleState'],
      [ruleOf(layerConfigInput), 'LayerConfigInput'],
      [ruleOf(layerConfigValue), 'LayerConfigValue'],
    ]),
  );
  const described = routes
    .filter(({ detail }) => detail?.operationId !== undefined && detail.hide !== true)
    .map(({ method, path, detail }) => {
      const said = secured ? withUnauthorized(detail) : { ...detail, security: undefined };
      // OpenAPI's schemas now.
      return { method, path, detail: withExamples(builder.rewrite(said) as DocumentDecoration) };
    });
  const documentation = {
    openapi: '3.1.0',
    // The generator has a description of its own, which the reference's document does not have.
    info: { title: TITLE, version: VERSION, description: undefined },
    components: { schemas: builder.components(), ...(secured ? { securitySchemes: SECURITY_SCHEMES } : {}) },
    ...(secured ? { security: SECURITY } : {}),
  } as unknown as NonNullable<Parameters<typeof swagger>[0]>['documentation']; // typed for OpenAPI 3.0; it passes everything through
  const describing = new Elysia().use(
    swagger({ path: '/page', specPath: '/json', excludeStaticFile: false, ...(documentation && { documentation }) }),
  );
  for (const { method, path, detail } of described) describing.route(method, path, () => '', { detail });
  const answer = await describing.handle(new Request(SPEC_URL));
  return JSON.stringify(await answer.json());
}

/** A protected operation has one answer more. */
function withUnauthorized(detail: DocumentDecoration | undefined): DocumentDecoration | undefined {
  if (detail === undefined || isOpen(detail)) return detail;
  const unauthorized = describe({
    operationId: '',
    summary: '',
    tags: [],
    responses: { 401: commonAnswers().error('No token, or one that is not accepted (`WWW-Authenticate`)') },
  });
  return { ...detail, responses: { ...detail.responses, ...unauthorized.responses } };
}
