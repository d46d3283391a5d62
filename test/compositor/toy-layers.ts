// Layer types that know nothing of agents: enough to watch the compositor at work.

import type { JsonObject } from '../../src/base/json.ts';
import type { CloseScope, DependencySpec, Layer, LayerType } from '../../src/compositor/layer.ts';
import { planRun, type RunPlan } from '../../src/compositor/plan.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { any, int, model, type Out, optional, str } from '../../src/protocol/dialect.ts';
import type { LayerExitSignals, RunLayerSpec, SessionSnapshot } from '../../src/protocol/runs.ts';

const toyConfig = model('ToyConfig', { label: optional(str(), 'none') });
const toyState = model('ToyState', { count: optional(int({ ge: 0 }), 0), note: optional(any(), null) });

/** What a hook of a layer does instead of nothing. */
export type Behaviour = Partial<
  Record<'open' | 'close' | 'create' | 'resume' | 'suspend' | 'delete', (signal: AbortSignal) => Promise<void> | void>
>;

/** A type whose layers log `<name>.<hook>` and do what `behaviours[name]` says. */
export class ToyLayer implements Layer {
  readonly className = 'ToyLayer';
  readonly name: string;
  readonly label: string;
  count: number;
  bound: Readonly<Record<string, Layer>> = {};
  readonly #log: string[];
  readonly #behaviour: Behaviour;

  constructor(name: string, label: string, count: number, log: string[], behaviour: Behaviour) {
    this.name = name;
    this.label = label;
    this.count = count;
    this.#log = log;
    this.#behaviour = behaviour;
  }

  get state(): JsonObject {
    return { count: this.count, note: null };
  }

  bind(deps: Readonly<Record<string, Layer>>): void {
    this.bound = deps;
  }

  async open(signal: AbortSignal): Promise<CloseScope> {
    await this.#run('open', signal);
    return (closing) => this.#run('close', closing);
  }

  onCreate = (signal: AbortSignal) => this.#run('create', signal);
  onResume = (signal: AbortSignal) => this.#run('resume', signal);
  onSuspend = (signal: AbortSignal) => this.#run('suspend', signal);
  onDelete = (signal: AbortSignal) => this.#run('delete', signal);

  async #run(hook: keyof Behaviour, signal: AbortSignal): Promise<void> {
    this.#log.push(`${this.name}.${hook}`);
    await this.#behaviour[hook]?.(signal);
  }
}

/**
 * Registered types `toy` (with hooks, no dependencies), `needy` (needs `base`, may have `extra`), `plain` (nothing) and
 * `holder`, which needs `base` and recognises states whose note is `held`.
 */
export function toyWorld(behaviours: Readonly<Record<string, Behaviour>> = {}) {
  const log: string[] = [];
  const created: string[] = [];
  const layers: ToyLayer[] = [];
  const toy = (typeId: string, className: string, deps: Readonly<Record<string, DependencySpec>>) => {
    const type: LayerType<Out<typeof toyConfig>, Out<typeof toyState>, ToyLayer> = {
      typeId,
      className,
      config: toyConfig,
      state: toyState,
      deps,
      create: ({ name, config, state }) => {
        created.push(name);
        const layer = new ToyLayer(name, config.label, Number(state.count), log, behaviours[name] ?? {});
        layers.push(layer);
        return layer;
      },
    };
    return type;
  };
  const plain: LayerType<unknown, unknown, Layer> = {
    typeId: 'plain',
    className: 'PlainLayer',
    config: model('PlainConfig', {}),
    state: model('EmptyRuntimeState', {}),
    deps: {},
    create: () => ({ className: 'PlainLayer', state: {} }),
  };
  const types: readonly LayerType<unknown, unknown, Layer>[] = [
    toy('toy', 'ToyLayer', {}),
    toy('needy', 'NeedyLayer', {
      base: { classNames: ['ToyLayer'], required: true },
      extra: { classNames: ['ToyLayer', 'PlainLayer'], required: false },
    }),
    plain,
    {
      ...toy('holder', 'HolderLayer', { base: { classNames: ['ToyLayer'], required: true } }),
      recogniseState: ({ note }) => note === 'held',
    },
  ];
  return { log, created, layers, registry: createLayerRegistry(types) };
}

/** A spec with defaults. */
export function spec(name: string, type = 'toy', more: Partial<RunLayerSpec> = {}): RunLayerSpec {
  return { name, type, deps: {}, metadata: {}, config: null, ...more };
}

export const SUSPEND_ALL: LayerExitSignals = { default: 'suspend', layers: {} };

/** Plans with the toy registry. */
export function plan(
  layers: readonly RunLayerSpec[],
  world: ReturnType<typeof toyWorld> = toyWorld(),
  onExit: LayerExitSignals = SUSPEND_ALL,
): RunPlan<Layer> {
  return planRun({ schema_version: 1, layers }, onExit, world.registry);
}

/** A snapshot in which every layer is suspended unless said otherwise. */
export function snapshotOf(
  layers: Readonly<Record<string, JsonObject>>,
  state: SessionSnapshot['layers'][number]['lifecycle_state'] = 'suspended',
): SessionSnapshot {
  return {
    schema_version: 1,
    layers: Object.entries(layers).map(([name, runtime_state]) => ({ name, lifecycle_state: state, runtime_state })),
  };
}
