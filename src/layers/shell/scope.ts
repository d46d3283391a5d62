// What one run of a shell layer holds and must give back: its turn at the workspace, and the tokens of its jobs.

import type { StubEnvironment } from '../../workspaces/ports.ts';
import type { RedactPatterns } from './patterns.ts';

/** Held by a run, from entering to exiting. */
export interface Scope {
  readonly patterns: RedactPatterns;
  /** Keeps the turn until the scope is closed. */
  holdTurn(release: () => void): void;
  /** Keeps it for longer: the work goes on in the workspace. It must not reject. */
  keepTurnUntil(work: Promise<void>): void;
  /** Revokes the tokens of a job when the scope is closed. */
  revokeLater(issued: StubEnvironment): void;
  close(): void;
}

/** Nothing is held yet. What comes after `close` is given back at once. */
export function createScope(patterns: RedactPatterns): Scope {
  const releases: (() => void)[] = [];
  const issued: StubEnvironment[] = [];
  const works: Promise<void>[] = [];
  let closed = false;
  const release = (): void => {
    for (const giveBack of releases.splice(0)) giveBack();
  };
  const revoke = (): void => {
    for (const environment of issued.splice(0)) environment.revoke();
  };
  return {
    patterns,
    holdTurn(giveBack) {
      releases.push(giveBack);
      if (closed) release();
    },
    keepTurnUntil: (work) => void works.push(work),
    revokeLater(environment) {
      issued.push(environment);
      if (closed) revoke();
    },
    close() {
      closed = true;
      revoke();
      if (works.length === 0) release();
      else void Promise.allSettled(works).then(release);
    },
  };
}
