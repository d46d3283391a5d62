// What every screen may use, made once by main.tsx and handed down by Preact.

import type { ReadonlySignal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Api } from './api.ts';
import type { RunFilters } from './list/filters.ts';
import type { Route } from './route.ts';
import type { Started } from './started.ts';
import type { ThemeChoice } from './theme.ts';

export interface Console {
  readonly api: Api;
  readonly started: Started;
  readonly filters: RunFilters;
  readonly route: ReadonlySignal<Route>;
  readonly theme: ThemeChoice;
}

export const ConsoleContext = createContext<Console | null>(null);

export function useConsole(): Console {
  const value = useContext(ConsoleContext);
  if (value === null) throw new Error('no console around this component');
  return value;
}
