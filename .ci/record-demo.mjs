// `npm run pictures:demo`: runs the demo of the compiled binary and draws what it printed, when it printed it, as an animated SVG
// (docs/pictures/demo.svg) that needs no player. Times are the real ones; nothing is edited but what follows the snapshot.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const COLUMNS = 118;
const LINE = 17;
const CHARACTER = 7.25;
const MARGIN = 18;
const BAR = 30;
/** The last picture stands still for so long before it begins again, seconds. */
const REST = 6;
/** The demo ends with how to do the same by hand. */
const LAST = 'The same by hand';

const COLOURS = {
  text: '#d7dce2',
  dim: '#7d8794',
  type: '#7aa7f7',
  good: '#7fc98b',
  tool: '#e0b56b',
  person: '#d792d0',
};

const lines = await record();
writeFileSync(`${root}/docs/pictures/demo.svg`, draw(lines));
console.log(`docs/pictures/demo.svg: ${lines.length} lines`);

/** Lines with the second at which each was printed. */
async function record() {
  const child = spawn('dist/dify-agent', ['demo'], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  const seen = [{ at: 0, text: '$ dify-agent demo' }];
  let first = null;
  for await (const text of createInterface({ input: child.stdout })) {
    if (text.startsWith(LAST)) break;
    const now = performance.now();
    first ??= now;
    seen.push({ at: 0.8 + (now - first) / 1000, text });
  }
  child.kill();
  while (seen.at(-1)?.text === '') seen.pop();
  return seen;
}

function draw(all) {
  const width = Math.ceil(COLUMNS * CHARACTER + 2 * MARGIN);
  const height = BAR + all.length * LINE + 2 * MARGIN;
  const total = (all.at(-1)?.at ?? 0) + REST;
  const rows = all.map(({ at, text }, index) => {
    const y = BAR + MARGIN + (index + 0.7) * LINE;
    const key = (at / total).toFixed(4);
    const shown = `<animate attributeName="opacity" values="0;0;1;1" keyTimes="0;${key};${key};1" dur="${total.toFixed(2)}s" repeatCount="indefinite" calcMode="discrete"/>`;
    return `<text x="${MARGIN}" y="${y.toFixed(1)}">${coloured(cut(text))}${at === 0 ? '' : shown}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="A terminal: the demo starts a server, runs an agent that calls a tool and asks a person, and prints its answer">
<rect width="100%" height="100%" rx="8" fill="#161a20"/>
<g fill="#3a424d"><circle cx="20" cy="16" r="5"/><circle cx="38" cy="16" r="5"/><circle cx="56" cy="16" r="5"/></g>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="12" fill="${COLOURS.text}">
${rows.join('\n')}
</g>
</svg>
`;
}

function cut(text) {
  return text.length > COLUMNS ? `${text.slice(0, COLUMNS - 1)}…` : text;
}

function coloured(text) {
  const event = /^( {2}[\d:.]+ {2})(\S+)( *)(.*)$/.exec(text);
  if (event !== null) {
    const [, time = '', type = '', gap = '', rest = ''] = event;
    return span(COLOURS.dim, time) + span(colourOf(type, rest), type) + escaped(gap + rest);
  }
  if (text.startsWith('$ ')) return span(COLOURS.dim, '$ ') + escaped(text.slice(2));
  if (text.startsWith('  | ')) return span(COLOURS.person, text);
  if (text.startsWith('  {')) return span(COLOURS.good, text);
  return escaped(text);
}

function colourOf(type, rest) {
  if (type.startsWith('run_')) return COLOURS.good;
  return /tool/.test(type) || rest.startsWith('tool-call') ? COLOURS.tool : COLOURS.type;
}

function span(colour, text) {
  return `<tspan fill="${colour}">${escaped(text)}</tspan>`;
}

/** Blanks that stand together are kept by no attribute that all browsers know. */
function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll(' ', '\u00a0');
}
