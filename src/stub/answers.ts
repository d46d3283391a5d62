// What the Dify API answers (spec 05 §5) and what the stub makes of it (§4.1): exactly the members of the wire, absent ones as
// null, everything else dropped unless it is passed through.

import { isJsonObject, type JsonObject } from '../base/json.ts';
import {
  absent,
  any,
  bool,
  int,
  list,
  literal,
  model,
  nullable,
  type Out,
  optional,
  required,
  type Schema,
  str,
} from '../protocol/dialect.ts';
import { validate } from '../validation/walker.ts';
import { setOwn } from '../wiretext/keys.ts';

const text = () => optional(nullable(str()), null);
const number = () => optional(nullable(int()), null);
const flag = () => optional(nullable(bool()), null);
const open = { extra: 'ignore' } as const;

export const connectAnswer = model('AgentStubConnectResponse', {
  connection_id: required(str()),
  status: optional(literal('connected'), 'connected'),
});
export type ConnectAnswer = Out<typeof connectAnswer>;

export const uploadAnswer = model('AgentStubFileUploadResponse', { upload_url: required(str()) });
export type UploadAnswer = Out<typeof uploadAnswer>;

/** Members in the wire's order; the seed's client refuses any other. */
export const downloadAnswer = model(
  'AgentStubFileDownloadResponse',
  { filename: required(str()), mime_type: text(), size: required(int()), download_url: required(str()) },
  open,
);
export type DownloadAnswer = Out<typeof downloadAnswer>;

/** The envelope of file answers. */
export const envelope = model(
  'InnerApiEnvelope',
  { data: absent(any()), error: optional(nullable(str()), null) },
  open,
);

const DRIVE_ITEM = {
  key: text(),
  size: number(),
  hash: text(),
  mime_type: text(),
  file_kind: text(),
  file_id: text(),
  created_at: number(),
  download_url: text(),
  value_owned_by_drive: flag(),
  removed: flag(),
  is_skill: flag(),
  skill_metadata: text(),
};

const driveItems = model('DriveItems', { items: required(list(any())) }, open);
const driveItem = model('AgentStubDriveItem', DRIVE_ITEM, open);

/** `{"items":[…]}` of a manifest or a commit: declared members first, others passed through; null: not one. */
export function driveAnswer(answer: unknown): JsonObject | null {
  const found = validate(driveItems, answer);
  if (!found.ok) return null;
  const items: JsonObject[] = [];
  for (const item of found.value.items) {
    const read = validate(driveItem, item);
    if (!read.ok || !isJsonObject(item)) return null;
    const whole = { ...read.value };
    for (const [name, value] of Object.entries(item)) if (!Object.hasOwn(DRIVE_ITEM, name)) setOwn(whole, name, value);
    items.push(whole as JsonObject); // its members are JSON's
  }
  return { items };
}

const assets = <T>(item: Schema<T>) => required(model('ConfigItems', { items: optional(list(item), () => []) }, open));
const fileMembers = { name: required(str()), size: number(), hash: text(), mime_type: text() };

/** Members in the wire's order, unknown ones dropped at every level. */
export const configManifest = model(
  'AgentStubConfigManifestResponse',
  {
    agent_id: required(str()),
    config_version: required(
      model(
        'AgentStubConfigVersion',
        {
          id: required(str()),
          kind: required(literal('snapshot', 'draft', 'build_draft')),
          writable: required(bool()),
        },
        open,
      ),
    ),
    skills: assets(
      model(
        'AgentStubConfigSkillItem',
        { name: required(str()), description: text(), size: number(), hash: text(), mime_type: text() },
        open,
      ),
    ),
    files: assets(model('AgentStubConfigFileItem', fileMembers, open)),
    env_keys: optional(list(str()), () => []),
    note: optional(str(), ''),
  },
  open,
);
export type ConfigManifest = Out<typeof configManifest>;
