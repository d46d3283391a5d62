// Serves the page and the client library that it imports. Any static file server will do, once the library is one file:
//
//   bun build node_modules/dify-agent/dist/lib/client/index.js --target browser --minify --outfile client.js
//
// To try it: a server that lets this page's origin in, and this program beside it.
//
//   DIFY_AGENT_CORS_ORIGINS=http://127.0.0.1:8080 DIFY_AGENT_STORE_URL=sqlite::memory: DIFY_AGENT_ENABLE_SCRIPTED_MODEL=true npm start
//   npx bun examples/browser-page/serve.ts                 (another port: npx bun examples/browser-page/serve.ts 9000)

const CLIENT = new URL('../../src/client/index.ts', import.meta.url).pathname;
const TYPES: Readonly<Record<string, string>> = { html: 'text/html; charset=utf-8', js: 'text/javascript' };

/** Starts it on loopback; port 0: any. Rejects when the library cannot be bundled. */
export async function servePage(port: number): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const built = await Bun.build({ entrypoints: [CLIENT], target: 'browser', format: 'esm', minify: true });
  const client = await built.outputs[0]?.text();
  if (client === undefined) throw new Error('the client was not built');
  const file = (name: string) => Bun.file(new URL(name, import.meta.url)).text();
  const pages: Readonly<Record<string, string>> = {
    '/': await file('index.html'),
    '/page.js': await file('page.js'),
    '/client.js': client,
  };
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port,
    fetch(request) {
      const { pathname } = new URL(request.url);
      const page = Object.hasOwn(pages, pathname) ? pages[pathname] : undefined;
      if (page === undefined) return new Response('not found', { status: 404 });
      return new Response(page, { headers: { 'content-type': TYPES[pathname.split('.')[1] ?? 'html'] ?? '' } });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

if (import.meta.main) {
  void servePage(Number(process.argv[2] ?? 8080)).then(({ url }) => console.log(`the page is at ${url}/`));
}
