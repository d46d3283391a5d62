// The agent's drive (spec 05 §4, §5.2): what is on it, and what a sandbox puts there or takes away. Files themselves are uploaded
// as tool files before.

import type { JsonObject } from '../base/json.ts';
import { driveAnswer } from './answers.ts';
import type { StubCaller } from './caller.ts';
import { contextLacks } from './errors.ts';
import { withoutNulls } from './files.ts';
import { type InnerApi, invalidAnswer } from './inner.ts';
import { innerPath, isSafeSegment } from './names.ts';
import { need, valid } from './requests.ts';
import { driveCommit, driveManifestQuery } from './schemas.ts';

/** Operations on the drive. They reject with InvalidStubRequest, StubError, or the signal's reason. */
export interface DriveOperations {
  /** `query`: `prefix` and `include_download_url` as texts. */
  manifest(caller: StubCaller, query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<JsonObject>;
  commit(caller: StubCaller, input: unknown, signal: AbortSignal): Promise<JsonObject>;
}

export function createDriveOperations(api: InnerApi): DriveOperations {
  return {
    async manifest(caller, query, signal) {
      const { prefix, include_download_url } = valid(driveManifestQuery, query, 'query');
      api.require();
      const parameters = new URLSearchParams({
        tenant_id: caller.context.tenant_id,
        prefix,
        include_download_url: String(include_download_url),
      });
      const path = `${driveOf(caller)}/manifest?${parameters}`;
      const answer = driveAnswer(await api.json(caller, { method: 'GET', path }, signal));
      if (answer === null) throw invalidAnswer('drive manifest');
      return answer;
    },
    async commit(caller, input, signal) {
      const { items } = valid(driveCommit, input);
      api.require();
      const path = `${driveOf(caller)}/commit`;
      const user_id = need(caller, 'user_id', 'execution context user_id is required for drive commit');
      const body = { tenant_id: caller.context.tenant_id, user_id, items: items.map(withoutNulls) };
      const answer = driveAnswer(await api.json(caller, { method: 'POST', path, body }, signal));
      if (answer === null) throw invalidAnswer('drive commit');
      return answer;
    },
  };
}

/** The drive of the agent that the token names. */
function driveOf(caller: StubCaller): string {
  const drive = `agent-${need(caller, 'agent_id', 'execution context agent_id is required for drive operations')}`;
  if (!isSafeSegment(drive)) throw contextLacks('execution context agent_id is not a safe name');
  return innerPath('inner', 'api', 'drive', drive);
}
