// Tells a connect time-out from a slow answer. Bun's fetch does not show its connect phase (design §4), so while a
// request is silent we connect to the same port ourselves: if even that does not succeed, nobody is there.

/** Says whether a TCP connection to the daemon can be made. */
export interface Reachability {
  /**
   * `open`: a connection was made, now or within the last `withinMs`. `refused`: it failed at once (fetch reports that
   * itself). `silent`: nothing happened for `withinMs`. Probes under way are shared.
   */
  check(withinMs: number): Promise<'open' | 'refused' | 'silent'>;
}

/** Probes one host and port. */
export function createReachability(host: string, port: number): Reachability {
  let lastOpen = Number.NEGATIVE_INFINITY;
  let current: { readonly since: number; readonly outcome: Promise<'open' | 'refused'> } | null = null;

  const probe = () => {
    const outcome = Bun.connect({
      hostname: host,
      port,
      socket: {
        open(socket) {
          socket.end();
        },
        data() {},
        error() {},
        connectError() {},
      },
    }).then(
      () => {
        lastOpen = performance.now();
        return 'open' as const;
      },
      () => 'refused' as const,
    );
    const attempt = { since: performance.now(), outcome };
    void outcome.then(() => {
      if (current === attempt) current = null;
    });
    return attempt;
  };

  return {
    async check(withinMs) {
      if (performance.now() - lastOpen <= withinMs) return 'open';
      // An old attempt may be between two retransmissions: a new one learns sooner that the peer is back.
      if (current === null || performance.now() - current.since > withinMs) current = probe();
      let timer: Timer | undefined;
      const silence = new Promise<'silent'>((resolve) => {
        timer = setTimeout(() => resolve('silent'), withinMs);
      });
      try {
        return await Promise.race([current.outcome, silence]);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
