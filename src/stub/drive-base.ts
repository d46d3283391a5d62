// Where a sandbox finds its drive (spec 04 §2.7, 05 §3): the value of DIFY_AGENT_STUB_DRIVE_BASE.

import { CodedError } from '../base/errors.ts';
import { pyStrip } from '../wiretext/strip.ts';

const BASE = '/mnt/drive';

/** `/mnt/drive`, or a folder in it. Throws CodedError `drive_ref_unsafe`. */
export function driveBase(driveRef: string | null): string {
  const ref = pyStrip(driveRef ?? '');
  if (ref === '') return BASE;
  // No control characters: a NUL ends an environment variable, a line break many a line that prints it.
  const safe =
    ref.split('/').every((segment) => !['', '.', '..'].includes(segment)) && !/[\u0000-\u001f\u007f]/.test(ref);
  if (!safe) throw new CodedError('drive_ref_unsafe', 'Agent Stub drive_ref must be a safe relative path');
  return `${BASE}/${ref}`;
}
