// The one SQLite that the platform brings: bun:sqlite under Bun, node:sqlite under Node 22.5 and later. Chosen when a file is
// opened, so that importing this needs neither.

/** A value that a statement takes. */
export type SqlValue = string | number | null;
export type SqlRow = Readonly<Record<string, unknown>>;

export interface SqlStatement {
  get(...values: SqlValue[]): SqlRow | null | undefined;
  all(...values: SqlValue[]): readonly SqlRow[];
  run(...values: SqlValue[]): { readonly changes: number | bigint };
}

/** What both drivers have in common. */
export interface SqlDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SqlStatement;
  close(): void;
}

export type SqliteDriver = 'bun' | 'node';

/** Opens a file, creating it for this user alone. Rejects with what the driver or the file system says. */
export async function openDatabase(path: string, driver: SqliteDriver | undefined): Promise<SqlDatabase> {
  if (path !== ':memory:') {
    const { closeSync, openSync } = await import('node:fs');
    // It holds conversations. An existing file keeps its mode.
    closeSync(openSync(path, 'a', 0o600));
  }
  // Types as written above are what both modules' own ones come down to.
  if ((driver ?? platformDriver()) === 'bun') {
    const { Database } = await import('bun:sqlite');
    return new Database(path, { readwrite: true, create: true }) as unknown as SqlDatabase;
  }
  const { DatabaseSync } = await import('node:sqlite');
  return new DatabaseSync(path) as unknown as SqlDatabase;
}

function platformDriver(): SqliteDriver {
  return 'bun' in process.versions ? 'bun' : 'node';
}
