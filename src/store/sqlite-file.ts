// Opening the one file of the SQLite store: its mode, its single owner, its pragmas, and errors that name the variable.
// What stands in the file is schema.ts; what is done with it is sqlite.ts.

import { Database, constants as sqlite } from 'bun:sqlite';
import { accessSync, chmodSync, closeSync, constants, existsSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { StoreOpenError, systemCode, toOpenError } from './errors.ts';
import { checkSchema, MIGRATIONS, migrate } from './schema.ts';

/** Payloads may hold anything a user said: nobody else reads the file (issue SLICE, item 7). */
export const FILE_MODE = 0o600;
/** What a write-ahead log is cut back to after a burst, bytes. */
const WAL_SIZE_LIMIT = 16 * 1024 * 1024;

/** When a commit waits for the disk: `full` makes it survive a power cut. */
export type Synchronous = 'normal' | 'full';

/** The path of a database that lives and dies with the process. */
export const MEMORY_PATH = ':memory:';

/**
 * Opens the store's database, creating or migrating it, and owns it until it is closed.
 *
 * The owner lock is SQLite's own: `locking_mode = EXCLUSIVE` holds the lock on the file itself from the first access on, against
 * other processes and other connections of this one, under whatever name they open it; the kernel releases it when the process dies.
 * @throws StoreOpenError with one line for the operator.
 */
export function openDatabase(path: string, synchronous: Synchronous = 'normal'): Database {
  const memory = path === MEMORY_PATH;
  const file = memory ? MEMORY_PATH : resolve(path);
  let db: Database | undefined;
  try {
    if (!memory) prepareFile(path, file);
    db = new Database(file, { readwrite: true, create: memory, strict: true });
    own(db);
    const version = checkSchema(db, path);
    if (!memory) restrictAccess(path, file);
    // Only an empty database takes it; INCREMENTAL lets the sweep give space back in small steps.
    if (version === 0) db.run('PRAGMA auto_vacuum = INCREMENTAL');
    db.run(`PRAGMA journal_mode = ${memory ? 'MEMORY' : 'WAL'}`);
    db.run(`PRAGMA synchronous = ${synchronous}`);
    db.run(`PRAGMA journal_size_limit = ${WAL_SIZE_LIMIT}`);
    // Takes the lock even where the pragmas above had nothing to write.
    db.run('BEGIN IMMEDIATE');
    db.run('COMMIT');
    migrate(db, version);
    return db;
  } catch (error) {
    // `true` finalises every statement: one left over would keep the lock.
    db?.close(true);
    throw toOpenError(path, error);
  }
}

/**
 * What `dify-agent check` says about the file. Creates nothing: of a missing file only the directory is looked at.
 * @throws StoreOpenError as opening would.
 */
export function probeDatabase(path: string): string {
  if (path === MEMORY_PATH) return 'in memory: runs are lost when the server stops';
  const file = resolve(path);
  let db: Database | undefined;
  try {
    checkDirectory(path, file);
    if (!existsSync(file)) return 'will be created';
    db = new Database(file, { readwrite: true, create: false, strict: true });
    own(db);
    const version = checkSchema(db, path);
    db.run('BEGIN IMMEDIATE');
    db.run('ROLLBACK');
    if (version === 0) return 'empty, will be initialised';
    return version < MIGRATIONS.length ? `schema version ${version}, will be migrated` : `schema version ${version}`;
  } catch (error) {
    throw toOpenError(path, error);
  } finally {
    db?.close(true);
  }
}

/**
 * Whether the file was removed, renamed or replaced while it is open: what is written now will be found by nobody. SQLite
 * itself refuses to write then, but not in WAL mode. Takes less than a microsecond.
 */
export function hasMoved(db: Database): boolean {
  const answer = new Int32Array(2); // SQLite fills in one int; Bun wants room for a pointer
  db.fileControl(sqlite.SQLITE_FCNTL_HAS_MOVED, answer);
  return answer[0] === 1;
}

/** Never wait (a busy time-out blocks the event loop), never share. Must come before the first access. */
function own(db: Database): void {
  db.run('PRAGMA busy_timeout = 0');
  db.run('PRAGMA locking_mode = EXCLUSIVE');
}

/** Makes sure that the file exists, with mode 0600 when it is new: SQLite gives its log the database's mode. */
function prepareFile(path: string, file: string): void {
  checkDirectory(path, file);
  try {
    // Fails when it exists: closing a descriptor of a file that SQLite has open here would drop SQLite's lock.
    closeSync(openSync(file, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, FILE_MODE));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

/**
 * Repairs the lax mode of an existing store, or refuses one that belongs to somebody else. To be called when the file is
 * known to be a store of ours: the path may be a mistake, and other programs' files are not touched.
 */
function restrictAccess(path: string, file: string): void {
  for (const name of [file, `${file}-wal`, `${file}-shm`]) {
    try {
      const { mode } = statSync(name);
      if ((mode & 0o077) !== 0) chmodSync(name, FILE_MODE);
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT' && name !== file) continue;
      if (code !== 'EPERM') throw error;
      throw new StoreOpenError(
        'store_unusable',
        `DIFY_AGENT_STORE_URL: sqlite:${path} can be read by others and belongs to another user`,
        { cause: error },
      );
    }
  }
}

function checkDirectory(path: string, file: string): void {
  const directory = dirname(file);
  const where = `DIFY_AGENT_STORE_URL: sqlite:${path}`;
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (stats === undefined || !stats.isDirectory()) {
    throw new StoreOpenError('store_unusable', `${where}: the directory ${directory} does not exist`);
  }
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === false) {
    throw new StoreOpenError('store_unusable', `${where} is not a file`);
  }
  try {
    // SQLite writes its log beside the file.
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StoreOpenError('store_unusable', `${where}: the directory ${directory} is not writable`, {
      cause: error,
    });
  }
}
