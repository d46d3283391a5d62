// The tables of the SQLite store and everything that is done with them. Times are milliseconds since 1970.

export const SCHEMA = `
CREATE TABLE IF NOT EXISTS agent_session (
  scope TEXT PRIMARY KEY, owner TEXT NOT NULL, status TEXT NOT NULL, rev INTEGER NOT NULL, state TEXT NOT NULL,
  saved_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS agent_session_owner ON agent_session (owner, status);
CREATE INDEX IF NOT EXISTS agent_session_cleaned ON agent_session (saved_at) WHERE status = 'cleaned';
CREATE TABLE IF NOT EXISTS agent_session_revision (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL);
INSERT OR IGNORE INTO agent_session_revision VALUES (1, 0);
CREATE TABLE IF NOT EXISTS agent_session_turn (
  scope TEXT PRIMARY KEY, owner TEXT NOT NULL, token TEXT NOT NULL, until INTEGER NOT NULL, note TEXT
);
CREATE INDEX IF NOT EXISTS agent_session_turn_owner ON agent_session_turn (owner);
CREATE INDEX IF NOT EXISTS agent_session_turn_until ON agent_session_turn (until);
CREATE TABLE IF NOT EXISTS agent_session_outbox (
  id TEXT PRIMARY KEY, entry TEXT NOT NULL, due INTEGER NOT NULL, claim TEXT, attempts INTEGER NOT NULL DEFAULT 0,
  failed_runs INTEGER NOT NULL DEFAULT 0, error TEXT
);
CREATE INDEX IF NOT EXISTS agent_session_outbox_due ON agent_session_outbox (due);
`;

export const STATEMENTS = {
  load: 'SELECT scope, rev, state FROM agent_session WHERE scope = ?',
  revision: 'SELECT rev FROM agent_session WHERE scope = ?',
  // Of the whole store, so that a row that was purged never gets a number that it had.
  nextRevision: 'UPDATE agent_session_revision SET last = last + 1 RETURNING last',
  save: 'INSERT OR REPLACE INTO agent_session (scope, owner, status, rev, state, saved_at) VALUES (?, ?, ?, ?, ?, ?)',
  active: "SELECT scope FROM agent_session WHERE owner = ? AND status = 'active'",
  purge: "DELETE FROM agent_session WHERE status = 'cleaned' AND saved_at <= ?",

  turn: 'SELECT token, until, note FROM agent_session_turn WHERE scope = ?',
  beginTurn: `INSERT INTO agent_session_turn (scope, owner, token, until) VALUES (?, ?, ?, ?)
    ON CONFLICT (scope) DO UPDATE SET token = excluded.token, until = excluded.until`,
  keepTurn: 'UPDATE agent_session_turn SET until = ?, note = coalesce(?, note) WHERE scope = ? AND token = ?',
  endTurn: 'DELETE FROM agent_session_turn WHERE scope = ? AND token = ?',
  turnsOf: 'SELECT scope, note FROM agent_session_turn WHERE owner = ?',
  lapsedTurns: 'SELECT scope, note FROM agent_session_turn WHERE until <= ? ORDER BY until LIMIT 1000',

  enqueue: 'INSERT OR IGNORE INTO agent_session_outbox (id, entry, due) VALUES (?, ?, ?)',
  due: 'SELECT entry, attempts, failed_runs FROM agent_session_outbox WHERE due <= ? ORDER BY due LIMIT ?',
  dueOf: `SELECT entry, attempts, failed_runs FROM agent_session_outbox
    WHERE id IN (SELECT value FROM json_each(?)) AND (claim IS NULL OR due <= ?) ORDER BY due LIMIT ?`,
  claim: 'UPDATE agent_session_outbox SET claim = ?, due = ? WHERE id = ?',
  retry: `UPDATE agent_session_outbox SET claim = NULL, due = ?, failed_runs = ?, error = ?, attempts = attempts + 1
    WHERE id = ? AND claim = ?`,
  done: 'DELETE FROM agent_session_outbox WHERE id = ? AND claim = ?',
  backlog: 'SELECT count(*) AS entries, min(due) AS next FROM agent_session_outbox',
} as const;

export type StatementName = keyof typeof STATEMENTS;
