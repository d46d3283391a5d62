// Dark or light: as the system says, or as was chosen. The choice is the only thing that the page leaves in the browser.

import { effect, type Signal, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'dify-agent-console-theme';
const NEXT: Readonly<Record<Theme, Theme>> = { system: 'light', light: 'dark', dark: 'system' };

export interface ThemeChoice {
  readonly theme: Signal<Theme>;
  /** The next of the three. */
  turn(): void;
}

/** Reads the choice and keeps the document in step with it. */
export function createTheme(): ThemeChoice {
  const theme = signal(stored());
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
    try {
      localStorage.setItem(KEY, theme.value);
    } catch {
      // No storage here: the choice holds until the page is closed.
    }
  });
  return {
    theme,
    turn() {
      theme.value = NEXT[theme.value];
    },
  };
}

function stored(): Theme {
  try {
    const text = localStorage.getItem(KEY);
    return text === 'light' || text === 'dark' ? text : 'system';
  } catch {
    return 'system';
  }
}
