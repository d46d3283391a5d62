// `check`: the effective configuration with its sources, what is wrong or missing, and whether the peers answer.
// Exit code 0 when a server could work with it, else 1.

import { VERSION } from '../base/version.ts';
import { type Configuration, type Reading, readConfiguration, type UnknownVariable } from '../config/load.ts';
import { configuredSecrets } from '../config/secrets.ts';
import type { Settings } from '../config/settings.ts';
import { stubWarnings } from '../config/stub.ts';
import { printable } from '../config/variable.ts';
import { createRedactor } from '../observe/redact.ts';
import { EXIT, type Io } from './io.ts';
import {
  accessFindings,
  type Finding,
  probeDaemon,
  probeDifyApi,
  probeGrpcBind,
  probeShellctl,
  probeStore,
  probeTls,
} from './probe.ts';

/** Prints the report. */
export async function check(io: Io): Promise<number> {
  const configuration = readConfiguration(io.env, io.cwd);
  await io.print(`dify-agent ${VERSION}\n\nConfiguration\n${readingLines(configuration.readings)}`);
  if (configuration.unknown.length > 0) {
    await io.print(`\nIgnored\n${configuration.unknown.map(unknownLine).join('')}`);
  }
  await io.print('\nChecks\n');
  const findings = await findingsOf(configuration);
  for (const { ok, text } of findings) await io.print(`  ${ok ? 'ok    ' : 'FAILED'}  ${oneLine(text)}\n`);
  return findings.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed;
}

async function findingsOf({ problems, warnings, settings }: Configuration): Promise<readonly Finding[]> {
  const overruled = warnings.map(warning);
  if (settings === null) return [...problems.map((text) => ({ ok: false, text })), ...overruled];
  const [store, daemon, shell, tls, difyApi, grpc] = await Promise.all([
    probeStore(settings),
    probeDaemon(settings.pluginDaemon),
    probeShellctl(settings.shellctl),
    probeTls(settings.tls),
    probeDifyApi(settings.difyApi),
    probeGrpcBind(settings.stub),
  ]);
  // Peers' texts may repeat what they were sent; our own problems above never do.
  const redactor = createRedactor(configuredSecrets(settings));
  const clean = ({ ok, text }: Finding): Finding => ({ ok, text: redactor.text(text) });
  return [
    { ok: true, text: 'configuration' },
    ...overruled,
    ...accessFindings(settings),
    ...tls,
    clean(store),
    ...daemon.map(clean),
    ...[...shell, ...difyApi, ...grpc].map(clean),
    {
      ok: true,
      text: `scripted model: ${settings.enableScriptedModel ? 'ON (test.scripted_llm is registered)' : 'off'}`,
    },
    { ok: true, text: tracesText(settings) },
    ...stubWarnings(settings).map(warning),
  ];
}

function warning(text: string): Finding {
  return { ok: true, text: `warning: ${text}` };
}

/** Whether several variables together switch tracing on. The collector is not asked: the server starts without it. */
function tracesText({ traces }: Settings): string {
  if (traces === null) return 'traces: off';
  return `traces: to ${traces.url}, ${traces.sampler}${traces.content ? ', WITH CONTENT (prompts and answers)' : ''}`;
}

function readingLines(readings: readonly Reading[]): string {
  const width = Math.max(...readings.map(({ variable }) => variable.name.length));
  return readings
    .map(({ variable, source, result }) => {
      const value = result.ok ? printable(variable, result.value) : '(invalid)';
      return `  ${variable.name.padEnd(width)}  ${oneLine(value)}  (${source})\n`;
    })
    .join('');
}

function unknownLine({ name, source, suggestion }: UnknownVariable): string {
  const hint = suggestion === null ? '' : `; did you mean ${suggestion}?`;
  return `  ${oneLine(name)} (${source}): nothing reads it${hint}\n`;
}

/** A value from outside must not break the report's lines or speak to the terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}
