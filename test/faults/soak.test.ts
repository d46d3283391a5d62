// A short soak (soak.ts); `npm run soak` takes 20,000 runs and says whether the memory stays flat.

import { describe, expect, test } from 'bun:test';
import { STORES } from './site.ts';
import { soak } from './soak.ts';

describe('a thousand runs at the admission limit are all taken in the end, and each ends once', () => {
  for (const store of STORES) {
    test(store, async () => {
      const { refused, mostActive } = await soak(store, 1_000);
      expect(refused).toBeGreaterThan(0);
      expect(mostActive).toBeGreaterThan(150);
    }, 120_000);
  }
});
