// The state of `dify.shell` as snapshots hold it (spec 04 §2.3). Snapshots are the caller's: what is wrong with one is said
// before anything is asked of shellctl, and nothing of it but a checked session id ever reaches a script or a path.

import { nameList } from '../../compositor/names.ts';
import { isJobId } from '../../peers/shellctl/requests.ts';
import { checked, dict, int, list, model, nullable, type Out, optional, str } from '../../protocol/dialect.ts';
import { compareNumber } from '../../wiretext/numbers.ts';
import { isSessionId, type SessionId, workspacePath } from '../../workspaces/session.ts';

/** A snapshot of a long session of the reference may name hundreds; nobody honest comes near this. */
const MAX_JOB_IDS = 4096;

const sessionId = checked(str(), (text) =>
  isSessionId(text) ? null : "session_id must match the 5+2 lowercase hex format '<5 hex><2 hex>'.",
);

const jobIds = checked(list(str()), (ids) => {
  if (new Set(ids).size < ids.length) return 'job_ids must not contain duplicates.';
  if (ids.length > MAX_JOB_IDS) return `job_ids must contain at most ${MAX_JOB_IDS} items.`;
  return ids.every(isJobId) ? null : 'job_ids must be ids of shellctl jobs.';
});

const offset = checked(int({ ge: 0 }), (value) =>
  compareNumber(value, Number.MAX_SAFE_INTEGER) > 0 ? `job offsets must be at most ${Number.MAX_SAFE_INTEGER}.` : null,
);

/** Validates a runtime state. Absent members are those of a session that has not begun. */
export const shellState = model(
  'DifyShellRuntimeState',
  {
    session_id: optional(nullable(sessionId), null),
    workspace_cwd: optional(nullable(str()), null),
    job_ids: optional(jobIds, () => []),
    job_offsets: optional(dict(offset), () => ({})),
  },
  {
    check({ session_id: id, workspace_cwd: cwd, job_ids: jobs, job_offsets: offsets }) {
      if (cwd !== null) {
        if (id === null) return 'workspace_cwd requires a matching session_id.';
        const expected = `~/workspace/${id}`;
        if (cwd !== expected) return `workspace_cwd must equal '${expected}' for session_id '${id}'.`;
      }
      const known = new Set(jobs);
      const unknown = Object.keys(offsets).filter((job) => !known.has(job));
      return unknown.length === 0 ? null : `job_offsets contains unknown job ids: ${nameList(unknown.slice(0, 100))}.`;
    },
  },
);
/** A validated runtime state. */
export type ShellState = Out<typeof shellState>;

/** The session of a state that is resumed, or what is wrong with it (spec 04 §2.4). */
export function resumable({ session_id: id, workspace_cwd: cwd }: ShellState): SessionId | { readonly fault: string } {
  if (id === null || cwd === null || !isSessionId(id)) {
    return { fault: 'DifyShellLayer runtime state is missing session_id or workspace_cwd.' };
  }
  const expected = workspacePath(id);
  if (cwd === expected) return id;
  return { fault: `DifyShellLayer runtime state has inconsistent workspace_cwd '${cwd}'; expected '${expected}'.` };
}

/** The session of a state, or null when it has none. */
export function sessionOf({ session_id: id }: ShellState): SessionId | null {
  return id !== null && isSessionId(id) ? id : null;
}
