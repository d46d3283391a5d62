// Who may hold how many of the connections to shellctl. Calls that wait for a job last as long as a model likes, minutes maybe,
// and a model may make a hundred at once: they leave some connections to calls that end by themselves, and one run leaves some
// to the others.

import { createSlots } from '../slots.ts';

/** Of eight connections one is kept for calls that do not wait for a job: ending jobs must not queue behind long waits. */
const PROMPT_SHARE = 8;
/** One owner waits for jobs on every second of the others at most. */
const OWN_SHARE = 2;

/** Connections, given out fairly between owners. Acquiring rejects as Slots does; the function gives back, once. */
export interface Places {
  /** For a call that ends by itself, soon. */
  prompt(owner: unknown, signal: AbortSignal): Promise<() => void>;
  /** For a call that waits for a job. */
  patient(owner: unknown, signal: AbortSignal): Promise<() => void>;
  /** How many are held, and how many calls wait for one. */
  load(): { readonly active: number; readonly waiting: number };
}

/** `size` connections; who waits for longer than `timeoutMs` gets what `timedOut` makes. */
export function createPlaces(size: number, timeoutMs: number, timedOut: () => Error): Places {
  const kept = size < 2 ? 0 : Math.ceil(size / PROMPT_SHARE);
  const patient = createSlots(size - kept, timedOut, Math.ceil((size - kept) / OWN_SHARE));
  const prompt = kept === 0 ? patient : createSlots(kept, timedOut);
  return {
    prompt: (owner, signal) => prompt.acquire(owner, timeoutMs, signal),
    patient: (owner, signal) => patient.acquire(owner, timeoutMs, signal),
    load() {
      if (prompt === patient) return { active: patient.used, waiting: patient.waiting };
      return { active: patient.used + prompt.used, waiting: patient.waiting + prompt.waiting };
    },
  };
}
