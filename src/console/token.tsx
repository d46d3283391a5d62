// Asks for the token. It is kept by api.ts, in memory: closing or reloading the page forgets it.

import { useSignal } from '@preact/signals';
import { isToken } from './api.ts';
import { useConsole } from './context.ts';
import { Dialog } from './ui/dialog.tsx';

export function TokenDialog({ onClose }: { readonly onClose: () => void }) {
  const { api } = useConsole();
  const text = useSignal(api.token.value);
  const fits = isToken(text.value.trim());
  const save = (event: Event): void => {
    event.preventDefault();
    if (!fits) return;
    api.token.value = text.value.trim();
    onClose();
  };
  return (
    <Dialog title="Token" onClose={onClose}>
      <form onSubmit={save}>
        <p class="muted">
          Sent to this server with every request, as <code>Authorization: Bearer</code>. It stays in the memory of this
          page: reloading forgets it.
        </p>
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={text.value}
            aria-invalid={!fits}
            onInput={(event) => {
              text.value = event.currentTarget.value;
            }}
          />
        </label>
        {!fits && <p class="fault">A token has no blanks and only ASCII characters.</p>}
        <div class="actions">
          <button type="button" onClick={onClose}>
            Close
          </button>
          <button type="submit" class="primary" disabled={!fits}>
            Use
          </button>
        </div>
      </form>
    </Dialog>
  );
}
