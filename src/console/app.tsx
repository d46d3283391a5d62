// The frame of the page: its head with the screens, the token and the theme, and the screen that the address names.

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { ComposeScreen } from './compose/compose.tsx';
import { useConsole } from './context.ts';
import { OverviewScreen } from './overview/overview.tsx';
import type { Route } from './route.ts';
import { RunScreen } from './run/run.tsx';
import { RunsScreen } from './runs/runs.tsx';
import { TokenDialog } from './token.tsx';
import { Empty } from './ui/parts.tsx';

const SCREENS = [
  ['runs', 'Runs'],
  ['overview', 'Overview'],
  ['compose', 'Compose'],
] as const;

const THEME_NAMES = { system: 'as the system', light: 'light', dark: 'dark' } as const;

export function App() {
  const { route } = useConsole();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  const present = route.value;
  const address = present.screen === 'run' ? `run ${present.runId}` : present.screen;
  useEffect(() => {
    // Who moves with the keyboard goes on in the new screen; the first one is where the browser puts them.
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
    scrollTo(0, 0);
  }, [address]);
  return (
    <>
      <Head route={present} />
      <main id="main" ref={main} tabIndex={-1}>
        <Screen key={address} route={present} />
      </main>
    </>
  );
}

function Screen({ route }: { readonly route: Route }) {
  switch (route.screen) {
    case 'runs':
      return <RunsScreen />;
    case 'run':
      return <RunScreen runId={route.runId} />;
    case 'overview':
      return <OverviewScreen />;
    case 'compose':
      return <ComposeScreen />;
    case 'unknown':
      return (
        <Empty title="There is nothing at this address.">
          <a href="#/runs">Go to the runs</a>
        </Empty>
      );
  }
}

function Head({ route }: { readonly route: Route }) {
  const { api, theme } = useConsole();
  const asking = useSignal(false);
  const denied = api.denied.value;
  const has = api.token.value !== '';
  const current = route.screen === 'run' ? 'runs' : route.screen;
  return (
    <header class="head">
      <button type="button" class="skip" onClick={skip}>
        Skip to content
      </button>
      <span class="brand">
        <Mark />
        <span>Dify Agent</span>
      </span>
      <nav aria-label="Screens">
        {SCREENS.map(([screen, name]) => (
          <a key={screen} href={`#/${screen}`} aria-current={screen === current ? 'page' : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <div class="head-tools">
        <HeadButton
          label={denied ? 'Token refused' : has ? 'Token set' : 'Token'}
          tone={denied ? 'bad' : has ? 'ok' : ''}
          onClick={() => {
            asking.value = true;
          }}
        >
          <path d="M10.5 6.5a4 4 0 1 0-3.2 3.9L8.5 9.2h1.6V7.6h1.6l.6-.6M4.6 5.6h.01" />
        </HeadButton>
        <HeadButton label={`Theme: ${THEME_NAMES[theme.theme.value]}`} tone="" short onClick={theme.turn}>
          {theme.theme.value === 'dark' ? (
            <path d="M13 9.2A5.5 5.5 0 0 1 6.8 3a5.5 5.5 0 1 0 6.2 6.2Z" />
          ) : theme.theme.value === 'light' ? (
            <path d="M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6ZM8 1.5v1.4M8 13.1v1.4M1.5 8h1.4M13.1 8h1.4M3.4 3.4l1 1M11.6 11.6l1 1M3.4 12.6l1-1M11.6 4.4l1-1" />
          ) : (
            <path d="M8 2.5a5.5 5.5 0 1 0 0 11ZM8 2.5a5.5 5.5 0 0 1 0 11" />
          )}
        </HeadButton>
      </div>
      {asking.value && (
        <TokenDialog
          onClose={() => {
            asking.value = false;
          }}
        />
      )}
      {denied && !asking.value && (
        <p class="notice bad" role="alert">
          {has ? 'The server does not accept this token.' : 'This server asks for a token.'}{' '}
          <button
            type="button"
            class="link"
            onClick={() => {
              asking.value = true;
            }}
          >
            Enter a token
          </button>
        </p>
      )}
    </header>
  );
}

function skip(): void {
  document.getElementById('main')?.focus();
}

interface HeadButtonProps {
  readonly label: string;
  readonly tone: string;
  /** Without its words. */
  readonly short?: boolean;
  readonly onClick: () => void;
  readonly children: ComponentChildren;
}

function HeadButton({ label, tone, short = false, onClick, children }: HeadButtonProps) {
  return (
    <button
      type="button"
      class={`quiet ${tone}`}
      onClick={onClick}
      {...(short ? { 'aria-label': label, title: label } : {})}
    >
      <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
        {children}
      </svg>
      {!short && <span>{label}</span>}
    </button>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 16 16" aria-hidden="true">
      <rect x="1" y="2" width="9" height="3" rx="1" />
      <rect x="4" y="6.5" width="7" height="3" rx="1" />
      <rect x="9" y="11" width="6" height="3" rx="1" />
    </svg>
  );
}
