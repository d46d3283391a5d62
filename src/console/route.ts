// The screens and their addresses: the part of the URL behind `#`. Nothing of it is sent to the server.

/** What is shown. */
export type Route =
  | { readonly screen: 'runs' }
  | { readonly screen: 'run'; readonly runId: string }
  | { readonly screen: 'overview' }
  | { readonly screen: 'compose' }
  | { readonly screen: 'unknown' };

/** Longer ids are no run's. */
const MAX_ID = 512;

export function parseRoute(hash: string): Route {
  const [screen = '', id, ...more] = hash.replace(/^#?\/?/, '').split('/');
  if (screen === '' && id === undefined) return { screen: 'runs' };
  if (screen === 'runs' && id !== undefined && id !== '' && more.length === 0) {
    try {
      const runId = decodeURIComponent(id);
      return runId.length <= MAX_ID ? { screen: 'run', runId } : { screen: 'unknown' };
    } catch {
      return { screen: 'unknown' };
    }
  }
  if (id === undefined && (screen === 'runs' || screen === 'overview' || screen === 'compose')) return { screen };
  return { screen: 'unknown' };
}

/** Where a run is shown. Half a surrogate pair in an id, which no server gives, becomes U+FFFD. */
export function runHref(runId: string): string {
  return `#/runs/${encodeURIComponent(runId.toWellFormed())}`;
}
