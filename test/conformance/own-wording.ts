// What the traces leave to us to word (`<own wording: …>`): not compared, but not anything goes either. Texts must be there;
// the schema of the question tool must accept and refuse what spec 02 §10.2 says.

import { Ajv2020 } from 'ajv/dist/2020.js';
import { isObject } from '../fakes/daemon-rules.ts';
import { compact, type JsonNode } from '../support/json-nodes.ts';

/** What is wrong with our value for a masked one; empty when nothing is. */
export function checkOwnWording(mask: string, ours: JsonNode): readonly string[] {
  switch (mask) {
    case '<own wording: ask_human guidance>':
      return ours.kind === 'string' && ours.value.length > 100 ? [] : ['no guidance'];
    case '<own wording: stock description>':
      return ours.kind === 'string' && ours.value.trim() !== '' ? [] : ['no description'];
    case '<own wording: any schema equivalent to spec 02 §10.2>':
      return schemaFaults(compact(ours));
    default:
      return [`nothing is known of ${mask}`];
  }
}

const field = (type: string, more: object = {}) => ({ type, name: 'n', label: 'L', ...more });
const asked = (more: object) => ({ question: 'Q?', ...more });
const OPTIONS = [{ value: 'a', label: 'A' }];

/** Arguments that the schema must accept. */
export const GOOD_QUESTIONS: readonly unknown[] = [
  asked({}),
  asked({ title: null, markdown: null, fields: [], actions: [], urgency: 'normal' }),
  asked({ title: 'T', markdown: '**m**', urgency: 'high' }),
  asked({ fields: [field('paragraph')] }),
  asked({ fields: [field('paragraph', { placeholder: 'p', default: 'd', required: true })] }),
  asked({ fields: [field('paragraph', { placeholder: null, default: null })] }),
  asked({ fields: [field('select', { options: OPTIONS })] }),
  asked({ fields: [field('select', { options: OPTIONS, default: 'a' })] }),
  asked({ fields: [field('file')] }),
  asked({ fields: [field('file-list', { max_files: 3 })] }),
  asked({ fields: [field('file-list', { max_files: null })] }),
  asked({ actions: [{ id: 'go', label: 'Go' }] }),
  asked({ actions: [{ id: 'go', label: 'Go', style: 'destructive' }] }),
];

/** Arguments that it must refuse. */
export const BAD_QUESTIONS: readonly unknown[] = [
  {},
  { question: '' },
  { question: null },
  { question: 7 },
  [],
  asked({ more: 1 }),
  asked({ title: 7 }),
  asked({ urgency: 'low' }),
  asked({ urgency: null }),
  asked({ fields: null }),
  asked({ fields: [{ name: 'n', label: 'L' }] }),
  asked({ fields: [field('number')] }),
  asked({ fields: [{ type: 'paragraph', label: 'L' }] }),
  asked({ fields: [{ type: 'paragraph', name: 'n' }] }),
  asked({ fields: [field('paragraph', { name: '' })] }),
  asked({ fields: [field('paragraph', { label: '' })] }),
  asked({ fields: [field('paragraph', { options: OPTIONS })] }),
  asked({ fields: [field('paragraph', { required: 'yes' })] }),
  asked({ fields: [field('select')] }),
  asked({ fields: [field('select', { options: [{ value: 'a' }] })] }),
  asked({ fields: [field('file', { max_files: 1 })] }),
  asked({ fields: [field('file-list', { max_files: 0 })] }),
  asked({ actions: [{ id: 'go' }] }),
  asked({ actions: [{ id: '', label: 'Go' }] }),
  asked({ actions: [{ id: 'go', label: 'Go', style: 'loud' }] }),
  asked({ actions: [{ id: 'go', label: 'Go', more: 1 }] }),
];

function schemaFaults(text: string): readonly string[] {
  const schema: unknown = JSON.parse(text);
  if (!isObject(schema)) return ['the schema is no object'];
  const accepts = new Ajv2020({ strict: false, discriminator: true }).compile(schema);
  return [
    ...GOOD_QUESTIONS.filter((args) => !accepts(args)).map((args) => `the schema refuses ${JSON.stringify(args)}`),
    ...BAD_QUESTIONS.filter((args) => accepts(args)).map((args) => `the schema accepts ${JSON.stringify(args)}`),
  ];
}
