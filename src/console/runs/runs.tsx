// The screen of all runs: filters, a live list, and what to do when the server keeps no list.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { ApiError, problemOf } from '../api.ts';
import { useConsole } from '../context.ts';
import { useKeys, useNow, usePolling, useTitle } from '../hooks.ts';
import type { ListQuery } from '../list/filters.ts';
import { joined, type RunRow, readPage } from '../list/rows.ts';
import { Empty } from '../ui/parts.tsx';
import { FilterBar } from './filter-bar.tsx';
import { NoList } from './no-list.tsx';
import { RunTable } from './table.tsx';

/** Runs that are asked for again and again; what is below is as it was when it was loaded. */
const LIVE = 50;
const MORE = 100;
/** Rows below the live ones; then the list is to be narrowed. */
const MAX_OLDER = 2_000;
const EVERY_MS = 2_000;
/** Typing is over. */
const QUIET_MS = 250;

export function RunsScreen() {
  const { api, filters } = useConsole();
  useTitle('Runs');
  const live = useSignal<readonly RunRow[] | null>(null);
  const older = useSignal<readonly RunRow[]>([]);
  const next = useSignal<string | null>(null);
  const problem = useSignal('');
  const absent = useSignal(false);
  const loading = useSignal(false);
  const query = useQuery();
  const token = api.token.value;
  const now = useNow(1_000);
  const list = useRef<HTMLDivElement>(null);
  /** Of requests for this list as it is narrowed now. */
  const leaving = useRef(AbortSignal.abort());
  useRowKeys(list);

  useEffect(() => {
    live.value = null;
    older.value = [];
    next.value = null;
    absent.value = false;
    const controller = new AbortController();
    leaving.current = controller.signal;
    return () => controller.abort();
  }, [query, token]);

  usePolling(
    async (signal) => {
      try {
        const page = readPage(await api.list({ ...query, after: null, limit: LIVE }, signal));
        if (signal.aborted) return true;
        if (older.value.length === 0) next.value = page.next;
        // What new runs push out of the live page stays, unless it may have left for having ended.
        else if (query.status === '') older.value = joined(live.value ?? [], older.value).slice(0, MAX_OLDER);
        live.value = page.rows;
        problem.value = '';
        return true;
      } catch (error) {
        if (signal.aborted) return true;
        absent.value = error instanceof ApiError && error.missing;
        problem.value = absent.value ? '' : problemOf(error);
        return absent.value ? 'stop' : false;
      }
    },
    EVERY_MS,
    [query, token],
  );

  const loadMore = async (): Promise<void> => {
    loading.value = true;
    const { current: signal } = leaving;
    try {
      const page = readPage(await api.list({ ...query, after: next.value, limit: MORE }, signal));
      if (signal.aborted) return;
      older.value = joined(older.value, page.rows);
      next.value = page.next;
    } catch (error) {
      if (!signal.aborted) problem.value = problemOf(error);
    } finally {
      loading.value = false;
    }
  };

  const rows = live.value === null ? null : joined(live.value, older.value);
  const narrowed =
    filters.status.value !== '' || filters.tenant.value.trim() !== '' || filters.search.value.trim() !== '';
  return (
    <div class="page">
      <div class="page-head">
        <h1>Runs</h1>
        {!absent.value && <FilterBar />}
      </div>
      {problem.value !== '' && (
        <p class="notice bad" role="alert">
          The list is not up to date: {problem.value}.
        </p>
      )}
      {absent.value ? (
        <NoList />
      ) : rows === null ? (
        problem.value === '' && <p class="muted loading">Loading…</p>
      ) : rows.length === 0 ? (
        narrowed ? (
          <Empty title="No run is like this.">
            <button
              type="button"
              onClick={() => {
                filters.status.value = '';
                filters.tenant.value = '';
                filters.search.value = '';
              }}
            >
              Show all runs
            </button>
          </Empty>
        ) : (
          <Empty title="There are no runs yet.">
            <p>
              <a href="#/compose">Compose one</a>, or post one to <code>/runs</code>: it appears here by itself.
            </p>
          </Empty>
        )
      ) : (
        <div ref={list}>
          <RunTable rows={rows} now={now} />
          {next.value !== null && older.value.length < MAX_OLDER && (
            <p class="more">
              <button type="button" disabled={loading.value} onClick={loadMore}>
                Older runs
              </button>
            </p>
          )}
        </div>
      )}
    </div>
  );
}

/** The filters, a moment after they were changed last. */
function useQuery(): Omit<ListQuery, 'after' | 'limit'> {
  const { filters } = useConsole();
  const [status, tenant, search] = [filters.status.value, filters.tenant.value, filters.search.value];
  const settled = useSignal({ status, tenant, search });
  useEffect(() => {
    const present = settled.value;
    if (present.status === status && present.tenant === tenant && present.search === search) return;
    const timer = setTimeout(() => {
      settled.value = { status, tenant, search };
    }, QUIET_MS);
    return () => clearTimeout(timer);
  }, [status, tenant, search]);
  return settled.value;
}

/** j and k walk through the rows, Enter opens (they are links), / searches. */
function useRowKeys(list: { readonly current: HTMLElement | null }): void {
  useKeys((key, event) => {
    if (key === '/') {
      event.preventDefault();
      document.querySelector<HTMLInputElement>('input[type=search]')?.focus();
      return;
    }
    const step = key === 'j' ? 1 : key === 'k' ? -1 : 0;
    if (step === 0) return;
    const links: Element[] = [...(list.current?.querySelectorAll('a.run-link') ?? [])];
    const index = document.activeElement === null ? -1 : links.indexOf(document.activeElement);
    const target = links[index === -1 ? 0 : Math.min(links.length - 1, Math.max(0, index + step))];
    if (target instanceof HTMLElement) target.focus();
    target?.closest('tr')?.scrollIntoView({ block: 'nearest' });
  });
}
