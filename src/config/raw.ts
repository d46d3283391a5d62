// What the variables say before load.ts has applied the rules between them: some defaults depend on other variables.

import type { Settings } from './settings.ts';
import type { RawTraceSettings } from './traces.ts';

export interface RawSettings
  extends Omit<Settings, 'storeUrl' | 'storeUrlVariable' | 'textDeltaCoalescing' | 'traces'> {
  readonly storeUrl: string | null;
  readonly redisUrl: string;
  /** `enabled` null: as the wire vintage wants it. */
  readonly textDeltaCoalescing: Omit<Settings['textDeltaCoalescing'], 'enabled'> & { readonly enabled: boolean | null };
  readonly traces: RawTraceSettings;
}
