// Where the page begins: makes what its screens share and shows the first of them.

import { signal } from '@preact/signals';
import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './styles/base.css';
import './styles/parts.css';
import './styles/runs.css';
import './styles/run.css';
import './styles/overview.css';
import { createApi } from './api.ts';
import { App } from './app.tsx';
import { type Console, ConsoleContext } from './context.ts';
import { createFilters } from './list/filters.ts';
import { parseRoute } from './route.ts';
import { createStarted } from './started.ts';
import { createTheme } from './theme.ts';

function start(): void {
  const root = document.getElementById('app');
  if (root === null) return;
  const route = signal(parseRoute(location.hash));
  addEventListener('hashchange', () => {
    route.value = parseRoute(location.hash);
  });
  const console: Console = {
    // The page is `…/console`: what is beside it is the API.
    api: createApi(new URL('.', location.href).href.replace(/\/+$/, '')),
    started: createStarted(),
    filters: createFilters(),
    route,
    theme: createTheme(),
  };
  render(
    <ConsoleContext.Provider value={console}>
      <App />
    </ConsoleContext.Provider>,
    root,
  );
}

start();
