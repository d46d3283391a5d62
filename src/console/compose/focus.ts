// Where the keyboard goes when something was added, moved or is to be put right.

import type { Path } from './document.ts';
import { keyOf } from './draft.ts';

/** The first control of the field at a path, once it is there; `tools`: the first button that moves it. */
export function focusPath(path: Path, what: 'control' | 'tools' = 'control'): void {
  requestAnimationFrame(() => {
    // The nearest field that is shown: what is wrong may be deep in a value that is edited as JSON.
    for (let depth = path.length; depth > 0; depth -= 1) {
      const field = document.querySelector(`[data-path="${CSS.escape(keyOf(path.slice(0, depth)))}"]`);
      if (field === null) continue;
      for (let details = field.closest('details'); details !== null; ) {
        details.open = true;
        details = details.parentElement?.closest('details') ?? null;
      }
      const controls = what === 'tools' ? 'button.tiny:not(:disabled)' : 'textarea, input, select';
      const control = field.querySelector<HTMLElement>(controls) ?? field.querySelector<HTMLElement>('button');
      control?.focus();
      control?.scrollIntoView({ block: 'nearest' });
      return;
    }
  });
}
