// What sandboxes send (spec 05 §4.1), as schemas that validation/ reads. Unknown members are refused; members of newer vintages
// are known (§12.2). What the Dify API answers is in answers.ts.

import {
  bool,
  checked,
  dict,
  json,
  list,
  literal,
  model,
  nullable,
  type Out,
  optional,
  required,
  str,
} from '../protocol/dialect.ts';
import { pyStrip } from '../wiretext/strip.ts';
import { type AssetKind, assetNameProblem } from './names.ts';
import { isFileReference } from './references.ts';

const nullableText = () => optional(nullable(str()), null);

export const connectRequest = model('AgentStubConnectRequest', {
  protocol_version: optional(literal(1), 1),
  argv: required(list(str())),
  metadata: optional(dict(json()), () => ({})),
});

export const uploadRequest = model('AgentStubFileUploadRequest', {
  filename: required(str()),
  mimetype: required(str()),
});

export const fileMapping = model(
  'AgentStubFileMapping',
  {
    transfer_method: required(literal('local_file', 'tool_file', 'datasource_file', 'remote_url')),
    reference: nullableText(),
    url: nullableText(),
  },
  { check: mappingProblem },
);

interface Mapping {
  readonly transfer_method: string;
  readonly reference: string | null;
  readonly url: string | null;
}

function mappingProblem({ transfer_method, reference, url }: Mapping): string | null {
  if (transfer_method === 'remote_url') {
    if (url === null || url === '') return 'url is required when transfer_method is remote_url';
    return reference === null ? null : 'reference is not allowed when transfer_method is remote_url';
  }
  if (reference === null || reference === '') return 'reference is required for non-remote file mappings';
  if (!isFileReference(reference)) return 'reference must be a canonical Dify file reference';
  return url === null ? null : 'url is not allowed for non-remote file mappings';
}

/** A file or skill of the agent's configuration (V3). */
export const configAsset = model(
  'AgentStubConfigDownload',
  { kind: required(literal('file', 'skill')), name: required(str()) },
  { check: ({ kind, name }) => assetNameProblem(kind, pyStrip(name)) },
);

/** Every vintage's download request; V1 has `file` alone. */
export const downloadRequest = model(
  'AgentStubFileDownloadRequest',
  {
    file: optional(nullable(fileMapping), null),
    config: optional(nullable(configAsset), null),
    for_frontend: optional(bool(), true, { aliases: ['for_external'] }),
  },
  {
    check({ file, config, for_frontend }) {
      if ((file === null) === (config === null)) return 'exactly one of file or config is required';
      if (config === null || !for_frontend) return null;
      return 'config downloads are available only to the Sandbox data plane';
    },
  },
);

/** The download request as the seed's document has it. */
export const seedDownloadRequest = model('AgentStubFileDownloadRequest', { file: required(fileMapping) });

const fileRef = model('AgentStubFileRef', {
  kind: required(literal('upload_file', 'tool_file')),
  id: required(str()),
});

export const driveCommit = model('AgentStubDriveCommitRequest', {
  items: required(
    list(
      model('AgentStubDriveCommitItem', {
        key: required(str()),
        file_ref: optional(nullable(fileRef), null),
        value_owned_by_drive: optional(bool(), true),
        is_skill: optional(bool(), false),
        skill_metadata: optional(nullable(dict(str())), null),
      }),
    ),
  ),
});

const pushed = () =>
  optional(
    list(
      model('AgentStubConfigPushItem', {
        name: required(str()),
        file_ref: optional(nullable(fileRef), null),
      }),
    ),
    () => [],
  );

export const configPush = model('AgentStubConfigPushRequest', {
  files: pushed(),
  skills: pushed(),
  env_text: nullableText(),
  note: nullableText(),
});

export const configEnv = model('AgentStubConfigEnvRequest', { env_text: required(str()) });
export const configNote = model('AgentStubConfigNoteRequest', { note: required(str()) });

/** Query of the drive manifest. */
export const driveManifestQuery = model('AgentStubDriveManifestQuery', {
  prefix: optional(str(), ''),
  include_download_url: optional(bool(), false),
});

/** The name in `/config/{skills|files}/{name}/…`. */
export const assetPath = (kind: AssetKind) =>
  model('AgentStubConfigPath', { name: required(checked(str(), (name) => assetNameProblem(kind, pyStrip(name)))) });

export type ConnectRequest = Out<typeof connectRequest>;
export type UploadRequest = Out<typeof uploadRequest>;
export type DownloadRequest = Out<typeof downloadRequest>;
export type FileMapping = Out<typeof fileMapping>;
export type ConfigAsset = Out<typeof configAsset>;
