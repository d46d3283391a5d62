// `npm run docs`: writes docs/configuration.md from the declarations. test/config/docs.test.ts says when it is stale.

import { configurationDocument } from '../src/config/describe.ts';

await Bun.write(new URL('../docs/configuration.md', import.meta.url), configurationDocument());
