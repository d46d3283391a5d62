// A receiver of traces for measurements, in a process of its own: takes whatever is posted, looks at nothing, and counts. `GET /count`
// tells how many requests came and how many bytes.

function serve(): void {
  let requests = 0;
  let bytes = 0;
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      if (request.method === 'GET') return Response.json({ requests, bytes });
      bytes += (await request.arrayBuffer()).byteLength;
      requests += 1;
      return Response.json({});
    },
  });
  console.log(`http://127.0.0.1:${server.port}`);
}

if (import.meta.main) serve();
