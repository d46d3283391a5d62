// A cache that forgets what was not used for longest.

/** Bounded by the number of entries and by the sum of their keys' lengths. */
export class BoundedCache<T> {
  readonly #entries = new Map<string, T>(); // in the order of their last use
  readonly #maxEntries: number;
  readonly #maxChars: number;
  #chars = 0;

  constructor(maxEntries: number, maxChars: number) {
    this.#maxEntries = maxEntries;
    this.#maxChars = maxChars;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value, which is now the one used last. */
  get(key: string): T | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  /** Keeps a value, and drops others until the bounds hold. */
  set(key: string, value: T): void {
    this.#drop(key);
    this.#entries.set(key, value);
    this.#chars += key.length;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries && this.#chars <= this.#maxChars) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    if (this.#entries.delete(key)) this.#chars -= key.length;
  }
}
