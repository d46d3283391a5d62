// The jobs that a session knows: their ids, how far their output was read, and what the next window needs of the last one.
// Only jobs of the model are here; jobs of ours are deleted by whoever starts them (spec 04 §5.5).

import type { JsonObject } from '../../base/json.ts';
import { objectFromEntries } from '../../wiretext/json.ts';
import { toNumber } from '../../wiretext/numbers.ts';
import type { ShellState } from './state.ts';

/** How far a job was read. */
export interface JobPosition {
  /** The next unread byte of the log. */
  readonly offset: number;
  /** Raw text before it, as far as it is known (scrub.ts). */
  readonly context: string;
  /** How far before it a later run begins to read. */
  readonly ambiguousBytes: number;
}

/** Jobs by id, in the order in which they were started. */
export class JobBook {
  /** Null: never read. */
  readonly #positions = new Map<string, JobPosition | null>();
  readonly #over = new Set<string>();
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor({ job_ids: ids, job_offsets: offsets }: Pick<ShellState, 'job_ids' | 'job_offsets'>) {
    for (const id of ids) {
      const offset = Object.hasOwn(offsets, id) ? offsets[id] : undefined;
      this.#positions.set(
        id,
        offset === undefined ? null : { offset: toNumber(offset), context: '', ambiguousBytes: 0 },
      );
    }
  }

  get ids(): readonly string[] {
    return [...this.#positions.keys()];
  }

  get size(): number {
    return this.#positions.size;
  }

  /** Whether any of them may still run: nobody has heard yet that it is over. */
  get mayLive(): boolean {
    return this.#over.size < this.#positions.size;
  }

  has(id: string): boolean {
    return this.#positions.has(id);
  }

  /** Where to read on. */
  position(id: string): JobPosition {
    return this.#positions.get(id) ?? START;
  }

  /** Adds the job if it is new. Reading never goes back: of two calls at once, the one that read further counts. */
  note(id: string, position: JobPosition, done: boolean): void {
    if (position.offset >= this.position(id).offset) this.#positions.set(id, position);
    if (done) this.#over.add(id);
  }

  forget(id: string): void {
    this.#positions.delete(id);
    this.#over.delete(id);
  }

  clear(): void {
    this.#positions.clear();
    this.#over.clear();
  }

  /** One wait of a job at a time, in order: two of them from one offset would show a window twice. */
  async inTurn<T>(id: string, task: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(id);
    const mine = (before ?? Promise.resolve()).then(task, task);
    this.#turns.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#turns.get(id) === mine) this.#turns.delete(id);
    }
  }

  /** `job_ids` and `job_offsets` of a snapshot. */
  dump(): Pick<ShellState, 'job_ids'> & { readonly job_offsets: JsonObject } {
    const read = [...this.#positions].flatMap(([id, position]) =>
      position === null ? [] : [[id, Math.max(0, position.offset - position.ambiguousBytes)] as const],
    );
    return { job_ids: this.ids, job_offsets: objectFromEntries(read) };
  }
}

const START: JobPosition = { offset: 0, context: '', ambiguousBytes: 0 };
