// Time and repetition for components: polling that rests while nobody looks, a clock, and keys.

import { useEffect, useRef, useState } from 'preact/hooks';

/** After failures the pause doubles up to this. */
const MAX_PAUSE_MS = 30_000;

/**
 * Calls `work` now, and `everyMs` after each end of it, while the page is visible; when `deps` change it begins anew. `work`
 * resolves with whether it went well (else the pauses grow) or with `stop`. One call at a time; its signal aborts with the
 * component. `work` must not reject.
 */
export function usePolling(
  work: (signal: AbortSignal) => Promise<boolean | 'stop'>,
  everyMs: number,
  deps: readonly unknown[],
): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | null = null;
    let busy = false;
    let failures = 0;
    let over = false;
    const turn = async (): Promise<void> => {
      timer = null;
      if (busy || over || document.hidden) return;
      busy = true;
      const outcome = await latest.current(controller.signal);
      busy = false;
      if (controller.signal.aborted) return;
      failures = outcome === false ? failures + 1 : 0;
      over = outcome === 'stop';
      if (!over) timer = setTimeout(turn, Math.min(MAX_PAUSE_MS, everyMs * 2 ** failures));
    };
    const onVisible = (): void => {
      if (document.hidden) return;
      if (timer !== null) clearTimeout(timer);
      void turn();
    };
    document.addEventListener('visibilitychange', onVisible);
    void turn();
    return () => {
      document.removeEventListener('visibilitychange', onVisible);
      if (timer !== null) clearTimeout(timer);
      controller.abort();
    };
  }, [everyMs, ...deps]);
}

/** The time, ms since the epoch; moves every `everyMs` while `active` and the page is visible. */
export function useNow(everyMs: number, active = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!active) return;
    setNow(Date.now());
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, active]);
  return now;
}

/** Listens to keys that are meant for the page: not typed into a field, not with Ctrl, Alt or Meta. */
export function useKeys(onKey: (key: string, event: KeyboardEvent) => void): void {
  const latest = useRef(onKey);
  latest.current = onKey;
  useEffect(() => {
    const listen = (event: KeyboardEvent): void => {
      const { target } = event;
      const typing = target instanceof HTMLElement && target.closest('input, textarea, select, dialog') !== null;
      if (typing || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      latest.current(event.key, event);
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, []);
}

/** The title of the document while this is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Dify Agent`;
  }, [title]);
}
