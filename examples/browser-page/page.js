// The page's own script: starts a run, draws it as it comes, and cancels it on the server when the reader presses Stop. What models
// write is text and never becomes HTML. There is no token here: what a page knows, its reader knows (docs/client.md, "Browsers").

import { Client, composition, EMPTY_VIEW, foldEvent, plainPrompt, scriptedLlm } from 'dify-agent/client';

const element = (id) => document.getElementById(id);

/** The scripted model says this; with a real one, build the run on a server of your own, which has the credentials. */
const script = [
  { items: [{ tool_call: { id: 'call_1', name: 'length_of', arguments: { river: 'Danube' } } }] },
  { items: ['The Danube ', 'is 2,850 km ', 'long.'].map((text) => ({ text, delay_ms: 150 })) },
];
const tool = { name: 'length_of', parameters: { type: 'object' }, results: [{ content: { km: 2850 } }] };

let stop = null;

async function ask(baseUrl, question, signal) {
  const client = new Client({ baseUrl });
  const request = {
    composition: composition([plainPrompt({ user: question }), scriptedLlm({ turns: script, tools: [tool] })]),
  };
  let view = EMPTY_VIEW;
  draw(view);
  // Aborted: the run is cancelled, too. Without `cancelOnAbort` it would go on without this page.
  await client.runToCompletion(request, {
    signal,
    cancelOnAbort: true,
    onEvent: (event) => {
      view = foldEvent(view, event);
      draw(view);
    },
  });
}

/** The whole answer so far. */
function draw(view) {
  element('answer').replaceChildren(...view.items.map(lineOf));
  element('status').textContent = view.error === undefined ? view.status : `${view.status}: ${view.error}`;
}

function lineOf(item) {
  const line = document.createElement('div');
  if (item.kind === 'tool') {
    line.className = 'tool';
    const result = item.state === 'called' ? '…' : JSON.stringify(item.result);
    const args = typeof item.args === 'string' ? item.args : JSON.stringify(item.args);
    line.textContent = `${item.toolName} ${args} → ${result}`;
  } else {
    line.className = item.kind;
    line.textContent = item.text;
  }
  return line;
}

element('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  stop = new AbortController();
  element('send').disabled = true;
  element('stop').disabled = false;
  try {
    await ask(element('server').value, element('question').value, stop.signal);
  } catch (error) {
    element('status').textContent = stop.signal.aborted ? 'stopped' : String(error?.message ?? error);
  } finally {
    element('send').disabled = false;
    element('stop').disabled = true;
  }
});

element('stop').addEventListener('click', () => stop?.abort(new Error('stopped')));

element('server').value = new URLSearchParams(location.search).get('server') ?? 'http://127.0.0.1:8000';
