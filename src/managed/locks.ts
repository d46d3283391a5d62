// One after the other, per key: requests of this process for one session do not race each other. Among processes the store decides.

export interface Locks {
  /** Runs `work` when everything asked for before under the same key is over. As `work` resolves or rejects. */
  within<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export function createLocks(): Locks {
  const last = new Map<string, Promise<unknown>>();
  return {
    async within(key, work) {
      const before = last.get(key);
      const own = before === undefined ? work() : before.then(work, work);
      last.set(key, own);
      try {
        return await own;
      } finally {
        if (last.get(key) === own) last.delete(key);
      }
    },
  };
}
