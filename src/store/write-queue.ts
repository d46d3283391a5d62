// Group commit: everything asked for in one turn of the event loop shares one transaction, and each promise resolves
// after its COMMIT. Knows nothing of runs; what a task does inside the transaction is its caller's business.

/** Tasks waiting for the next commit; more are written at once, in the turn of who asked. */
export const QUEUE_MAX_TASKS = 4_096;
/** Characters of payload waiting for the next commit (8 Mi). */
export const QUEUE_MAX_CHARS = 8 * 1024 * 1024;

/** How to run a transaction. `rollback` must also undo what tasks changed in memory. */
export interface Transaction {
  begin(): void;
  commit(): void;
  rollback(): void;
}

export interface WriteQueue {
  /**
   * Runs `work` inside the next transaction, after everything submitted before it; resolves with its result when that is committed.
   * `chars` is its weight. `work` may run twice: again in a transaction of its own when the shared one failed.
   */
  submit<T>(work: () => T, chars: number): Promise<T>;
  /** Writes what is waiting, now. */
  flush(): void;
}

interface Task {
  readonly work: () => unknown;
  // Method syntax: its parameter is bivariant, so that tasks of all result types share one list.
  resolve(value: unknown): void;
  readonly reject: (error: Error) => void;
  result: unknown;
}

/** A queue over `transaction`; `toError` says what a failed task rejects with. */
export function createWriteQueue(transaction: Transaction, toError: (error: unknown) => Error): WriteQueue {
  let waiting: Task[] = [];
  let weight = 0;
  let scheduled = false;

  /** Runs the tasks in one transaction; what it failed with, or null. */
  function attempt(tasks: readonly Task[]): Error | null {
    try {
      transaction.begin();
      for (const task of tasks) task.result = task.work();
      transaction.commit();
      return null;
    } catch (error) {
      rollBack();
      return toError(error);
    }
  }

  function rollBack(): void {
    try {
      transaction.rollback();
    } catch {
      // The transaction stays open, so the next BEGIN fails with what is wrong, and its rollback tries again.
    }
  }

  function settle(tasks: readonly Task[]): void {
    const failure = attempt(tasks);
    const [first] = tasks;
    if (failure === null) for (const task of tasks) task.resolve(task.result);
    else if (tasks.length === 1) first?.reject(failure);
    // One bad task (too long for SQLite, too big for what is left of the disk) must not fail its neighbours.
    else for (const task of tasks) settle([task]);
  }

  function flush(): void {
    if (waiting.length === 0) return;
    const tasks = waiting;
    waiting = [];
    weight = 0;
    settle(tasks);
  }

  return {
    submit<T>(work: () => T, chars: number): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        waiting.push({ work, resolve, reject, result: undefined });
        weight += chars;
        if (waiting.length >= QUEUE_MAX_TASKS || weight >= QUEUE_MAX_CHARS) flush();
        else if (!scheduled) {
          scheduled = true;
          setImmediate(() => {
            scheduled = false;
            flush();
          });
        }
      });
    },
    flush,
  };
}
