// The request as a program, to be copied.

import { useConsole } from '../context.ts';
import { CopyButton } from '../ui/parts.tsx';
import type { Draft } from './draft.ts';
import { LANGUAGES, type Language, snippet } from './snippets.ts';

export function SnippetPanel({ draft, language }: { readonly draft: Draft; readonly language: Language }) {
  const { api } = useConsole();
  if (draft.reading.value.root === null) return <p class="muted">There is something to copy when the text is JSON.</p>;
  const make = (): string =>
    snippet(language, { request: draft.shown.value, baseUrl: api.base, hasToken: api.token.value !== '' });
  const name = LANGUAGES.find(([id]) => id === language)?.[1] ?? language;
  const text = make();
  const hasSecrets = text.includes('<secret: ');
  return (
    <>
      <div class="snippet-head">
        <p class="hint">
          {hasSecrets && (
            <>
              Keys are not in it: replace <code>&lt;secret: …&gt;</code> with yours.{' '}
            </>
          )}
          {language === 'typescript' && 'Needs dify-agent/client.'}
          {language === 'python' && 'Needs httpx.'}
        </p>
        <CopyButton text={make} label={`Copy as ${name}`} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard */}
      <section class="json snippet" tabIndex={0} aria-label={name}>
        <pre>{text}</pre>
      </section>
    </>
  );
}
