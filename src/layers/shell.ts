// `dify.shell`: a workspace on shellctl that lives from run to run, and four tools to work in it (spec 04 §2). The layer is the
// life of a session: made, resumed, suspended, deleted; what happens in between is shell/'s. How to speak to shellctl is the
// peer's, how workspaces are made and locked is workspaces/'s.

import type { FunctionTool } from '../agent/tools.ts';
import type { Clock } from '../base/clock.ts';
import { CodedError, errorText } from '../base/errors.ts';
import type { JsonObject } from '../base/json.ts';
import { CompositionError } from '../compositor/errors.ts';
import type { CloseScope, Layer } from '../compositor/layer.ts';
import type { Logger } from '../observe/logger.ts';
import type { ShellctlClient } from '../peers/shellctl/port.ts';
import type { ExecutionContext } from '../protocol/execution-context.ts';
import { validate } from '../validation/walker.ts';
import { atMost, type Background } from '../workspaces/background.ts';
import type { WorkspaceLocks } from '../workspaces/locks.ts';
import type { StubEnvironment, StubEnvironments } from '../workspaces/ports.ts';
import { type SessionId, workspacePath } from '../workspaces/session.ts';
import { ExecutionContextLayer } from './execution-context.ts';
import { installCommands, type ShellConfig, shellConfig } from './shell/config.ts';
import { configEnvironment, configSecrets } from './shell/environment.ts';
import { OBJECT_GUIDANCE, SECRETS_GUIDANCE, TAGGED_GUIDANCE } from './shell/guidance.ts';
import { createIssuedTokens, type IssuedTokens } from './shell/issued.ts';
import { JobBook } from './shell/jobs.ts';
import { compileRedactPatterns, type RedactPatterns } from './shell/patterns.ts';
import { objectResults, type ResultStyle, taggedResults } from './shell/results.ts';
import { createScope, type Scope } from './shell/scope.ts';
import { createScrubber } from './shell/scrub.ts';
import { createSecretTexts, type SecretTexts } from './shell/secrets.ts';
import { ShellSession } from './shell/session.ts';
import { resumable, type ShellState, sessionOf, shellState } from './shell/state.ts';
import { shellTools } from './shell/tools.ts';
import { endSession, type Furnishing, makeWorkspace, remakeWorkspace, type WorkspaceDeps } from './shell/workspace.ts';
import type { AgentLayer, AgentLayerType, LayerPrompts } from './types.ts';

const CLASS_NAME = 'DifyShellLayer';

/** How long a run waits for another one of the same session. Milliseconds. */
const TURN_LIMIT_MS = 60_000;
/** How long a run waits for the end of its session; shorter than the time that its exit is given (compositor/run.ts). */
const END_WAIT_MS = 8_000;
/** How long ending a session may go on behind it. */
const END_LIMIT_MS = 90_000;

/** What all layers of the type share. */
export interface ShellDependencies {
  readonly client: ShellctlClient;
  /** One per process: runs of one session take turns. */
  readonly locks: WorkspaceLocks;
  /** Null: jobs are given no way to the Agent Stub. */
  readonly stub: StubEnvironments | null;
  /** Learns of clean-ups that outlive a run. */
  readonly background: Background;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `DIFY_AGENT_SHELL_BOOTSTRAP_TIMEOUT_SECONDS`. */
  readonly bootstrapTimeoutSeconds: number;
  /** `DIFY_AGENT_SHELL_REDACT_PATTERNS`. */
  readonly redactPatterns: readonly string[];
  /** Results as tagged texts, and what else newer vintages have (spec 04 §2.5, J and N). */
  readonly newerResults: boolean;
}

/** What the layers of a process know together. */
interface Shared extends ShellDependencies {
  readonly tokens: IssuedTokens;
  readonly style: ResultStyle;
  patterns(config: ShellConfig): Promise<RedactPatterns>;
}

/** The type `dify.shell`; null: no shellctl is configured, and compositions with such a layer are refused. */
export function shellLayer(dependencies: ShellDependencies | null): AgentLayerType<ShellConfig, ShellState> {
  const shared = dependencies === null ? null : share(dependencies);
  return {
    typeId: 'dify.shell',
    className: CLASS_NAME,
    config: shellConfig,
    state: shellState,
    deps: {
      execution_context: { classNames: ['DifyExecutionContextLayer'], required: false },
      /** Of a middle vintage; `agent_stub_drive_ref` has taken its place. */
      drive: { classNames: ['DifyDriveLayer'], required: false },
    },
    recogniseState,
    create({ config, state }) {
      if (shared === null) {
        throw new CompositionError(
          "DifyShellLayer requires a non-empty DIFY_AGENT_SHELLCTL_ENTRYPOINT when the 'dify.shell' layer is used.",
        );
      }
      return new ShellLayer(config, state, shared);
    },
  };
}

/**
 * Compiles the server's patterns. For the start of a server: rejects with CodedError `redact_pattern`, which names the variable.
 */
export function serverRedactPatterns(patterns: readonly string[]): Promise<RedactPatterns> {
  return compileRedactPatterns({ name: 'DIFY_AGENT_SHELL_REDACT_PATTERNS', patterns });
}

/** A session that can be resumed has something to delete. */
function recogniseState(state: JsonObject): boolean {
  if (!Object.hasOwn(state, 'session_id')) return false;
  const result = validate(shellState, state);
  return result.ok && typeof resumable(result.value) === 'string';
}

function share(dependencies: ShellDependencies): Shared {
  const { redactPatterns, newerResults } = dependencies;
  let ofServer: Promise<RedactPatterns> | null = null;
  return {
    ...dependencies,
    tokens: createIssuedTokens(),
    style: newerResults ? taggedResults : objectResults,
    patterns({ redact_patterns: own }) {
      if (own.length === 0) {
        ofServer ??= serverRedactPatterns(redactPatterns);
        return ofServer;
      }
      return compileRedactPatterns(
        { name: 'DIFY_AGENT_SHELL_REDACT_PATTERNS', patterns: redactPatterns },
        { name: 'dify.shell redact_patterns', patterns: own },
      );
    },
  };
}

/** What of a configuration is masked. Throws CompositionError when it is more than can be looked for. */
function secretsOf(config: ShellConfig): SecretTexts {
  const texts = createSecretTexts();
  for (const secret of configSecrets(config)) texts.add(secret, 'encoded');
  if (!texts.overflowed) return texts;
  throw new CompositionError('dify.shell has more secret values than can be kept out of the output of jobs.');
}

class ShellLayer implements AgentLayer {
  readonly className = CLASS_NAME;
  readonly prompts: LayerPrompts;
  readonly #config: ShellConfig;
  readonly #initial: ShellState;
  readonly #shared: Shared;
  readonly #jobs: JobBook;
  readonly #furnishing: Furnishing;
  #context: ExecutionContext | null = null;
  #session: SessionId | null;
  #scope: Scope | null = null;
  /** Values of the configuration that are masked. */
  #secrets: SecretTexts = createSecretTexts();
  #live: ShellSession | null = null;

  constructor(config: ShellConfig, state: ShellState, shared: Shared) {
    this.#config = config;
    this.#initial = state;
    this.#shared = shared;
    this.#session = sessionOf(state);
    this.#jobs = new JobBook(state);
    this.#furnishing = { install: installCommands(config), env: configEnvironment(config) };
    const { style } = shared;
    this.prompts = {
      prefix: [style.skipsMiddle ? TAGGED_GUIDANCE : OBJECT_GUIDANCE],
      user: [],
      suffix: style.suffixPrompt ? [SECRETS_GUIDANCE] : [],
    };
  }

  get state(): JsonObject {
    const id = this.#session;
    const { job_ids, job_offsets } = this.#jobs.dump();
    return { session_id: id, workspace_cwd: id === null ? null : workspacePath(id), job_ids, job_offsets };
  }

  bind({ execution_context: target }: Readonly<Record<string, Layer>>): void {
    if (target instanceof ExecutionContextLayer) this.#context = target.context;
  }

  tools(): readonly FunctionTool[] {
    return shellTools(() => this.#active(), this.#shared.style.graceSeconds);
  }

  /** Waits for its turn at a workspace that exists; what cannot be kept from the model refuses the run before anything is made. */
  async open(signal: AbortSignal): Promise<CloseScope> {
    if (this.#scope !== null) {
      throw new CodedError(
        'shell_active',
        'DifyShellLayer resource_context() is already active for this layer instance.',
      );
    }
    const scope = createScope(await this.#shared.patterns(this.#config));
    this.#secrets = secretsOf(this.#config);
    if (this.#session !== null) scope.holdTurn(await this.#turn(this.#session, signal));
    this.#scope = scope;
    return async () => {
      this.#scope = null;
      this.#live = null;
      scope.close();
    };
  }

  async onCreate(signal: AbortSignal): Promise<void> {
    const id = await makeWorkspace(this.#furnishing, this.#workspaceDeps(), { signal, owner: this });
    this.#session = id;
    // Nobody else can know the id yet: this does not wait, and an abort must not come between making and remembering.
    this.#scope?.holdTurn(await this.#turn(id, new AbortController().signal));
    this.#begin(id);
  }

  /** Asks nothing of shellctl: a workspace that has vanished shows when a job is started in it. */
  async onResume(): Promise<void> {
    const id = resumable(this.#initial);
    if (typeof id !== 'string') throw new CompositionError(id.fault);
    this.#begin(id);
  }

  /** Never rejects: what shellctl does not do is logged, what takes long goes on behind the run. */
  async onDelete(): Promise<void> {
    const { background, logger } = this.#shared;
    const id = this.#session;
    const call = { signal: AbortSignal.timeout(END_LIMIT_MS), owner: this };
    let over = false;
    const rest = { id, jobIds: this.#jobs.ids, mayLive: this.#jobs.mayLive };
    const work = endSession(rest, this.#workspaceDeps(), call)
      .catch((error: unknown) => {
        logger.warn('a shell session could not be ended', { session_id: id, error: errorText(error) });
      })
      .finally(() => {
        over = true;
      });
    background(work);
    this.#scope?.keepTurnUntil(work);
    this.#jobs.clear();
    if (id !== null) this.#shared.tokens.forget(id);
    await atMost(END_WAIT_MS, work);
    if (!over) logger.warn('the end of a shell session takes long', { session_id: id });
  }

  #turn(id: SessionId, signal: AbortSignal): Promise<() => void> {
    return this.#shared.locks.acquire(id, TURN_LIMIT_MS, signal);
  }

  #begin(id: SessionId): void {
    const { client, style, background, logger, tokens } = this.#shared;
    const scope = this.#scope;
    if (scope === null) throw new Error('The shell session was begun outside of its scope.');
    const issued = tokens.of(id);
    this.#live = new ShellSession({
      id,
      client,
      jobs: this.#jobs,
      scrubber: createScrubber([issued, this.#secrets], scope.patterns),
      style,
      env: this.#furnishing.env,
      issueStub: () => this.#issueStub(id, scope, issued),
      remake: (signal) => remakeWorkspace(id, this.#furnishing, this.#workspaceDeps(), { signal, owner: this }),
      background,
      logger,
    });
  }

  async #issueStub(id: SessionId, scope: Scope, known: SecretTexts): Promise<StubEnvironment | null> {
    const { stub } = this.#shared;
    if (stub === null || this.#context === null) return null;
    const driveRef = this.#config.agent_stub_drive_ref;
    const issued = await stub.issue({ context: this.#context, sessionId: id, driveRef });
    // Masked before anybody can print it, and revoked whenever the run ends.
    for (const secret of issued.secrets) known.add(secret, 'plain');
    scope.revokeLater(issued);
    return issued;
  }

  #active(): ShellSession {
    if (this.#live === null) throw new CodedError('shell_inactive', 'DifyShellLayer is not active.');
    return this.#live;
  }

  #workspaceDeps(): WorkspaceDeps {
    const { client, background, logger, clock, bootstrapTimeoutSeconds } = this.#shared;
    // Counting on from a random byte finds the free one of 256, if there is any.
    let [byte = 0] = crypto.getRandomValues(new Uint8Array(1));
    const ids = { nowSeconds: () => clock.nowMicros() / 1_000_000, randomByte: () => byte++ };
    return { client, background, logger, ids, bootstrapTimeoutSeconds };
  }
}
