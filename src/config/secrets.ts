// Which texts of the settings must never be seen: the redactor is told these at start.

import type { Settings } from './settings.ts';
import { isVariable } from './variable.ts';
import { variables } from './variables.ts';

/** The secret values and the passwords inside URLs, as written and percent-decoded. */
export function configuredSecrets(settings: Settings): readonly string[] {
  return gather(variables, settings);
}

function gather(tree: object, values: object): string[] {
  const leaves = new Map(Object.entries(values));
  return Object.entries(tree).flatMap(([key, node]: [string, object]) => {
    const value: unknown = leaves.get(key);
    if (!isVariable(node)) return typeof value === 'object' && value !== null ? gather(node, value) : [];
    if (node.secret && Array.isArray(value)) return value.map(String);
    if (typeof value !== 'string' || value === '') return [];
    if (node.secret) return [value];
    return node.url ? passwords(value) : [];
  });
}

function passwords(url: string): string[] {
  const password = URL.parse(url)?.password ?? '';
  if (password === '') return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}
