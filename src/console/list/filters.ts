// What the list of runs is narrowed by; kept while the page is open, so that who comes back from a run finds it again.

import { type Signal, signal } from '@preact/signals';

export const STATUSES = ['running', 'succeeded', 'failed', 'cancelled'] as const;

export interface RunFilters {
  /** Empty: all. */
  readonly status: Signal<string>;
  /** Exact; empty: all. */
  readonly tenant: Signal<string>;
  /** How the run id begins; empty: any. */
  readonly search: Signal<string>;
}

export function createFilters(): RunFilters {
  return { status: signal(''), tenant: signal(''), search: signal('') };
}

export interface ListQuery {
  readonly status: string;
  readonly tenant: string;
  readonly search: string;
  /** Cursor of a page; null: the newest runs. */
  readonly after: string | null;
  readonly limit: number;
}

/** The newest runs, whatever they are. */
export const NO_FILTER = { status: '', tenant: '', search: '', after: null } as const;

/** The address of a page of runs. */
export function listPath({ status, tenant, search, after, limit }: ListQuery): string {
  const query = new URLSearchParams();
  if (status !== '') query.set('status', status);
  if (tenant.trim() !== '') query.set('tenant', tenant.trim());
  if (search.trim() !== '') query.set('q', search.trim());
  if (after !== null) query.set('after', after);
  query.set('limit', String(limit));
  return `/runs?${query}`;
}
