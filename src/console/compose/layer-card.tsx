// One layer of the composition: its name and type, what it depends on, its configuration as a form.

import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { brief, visible } from '../visible.ts';
import { Movers } from './collections.tsx';
import { at, get, list, membersOf, moved, object, type Path, text, textOf } from './document.ts';
import { type Draft, keyOf } from './draft.ts';
import { Cross, Field, Issues } from './field.tsx';
import { focusPath } from './focus.ts';
import { placesOf } from './graph-check.ts';
import { beginning, renamed } from './layers.ts';
import { type LayerInfo, layerInfo, layerSchema, type Schema } from './schema.ts';

interface LayerCardProps {
  readonly draft: Draft;
  readonly index: number;
}

/** What the card shows itself. */
const OWN = new Set(['name', 'type', 'deps', 'config']);

export function LayerCard({ draft, index }: LayerCardProps) {
  const open = useSignal(true);
  const id = useId();
  const layers: Path = [...draft.base.value, 'layers'];
  const path: Path = [...layers, index];
  const all = at(draft.root.value, layers);
  const layer = at(draft.root.value, path);
  const name = textOf(get(layer, 'name')) ?? '';
  const type = textOf(get(layer, 'type')) ?? '';
  const info = layerInfo(draft.known, type);
  const schema = layerSchema(draft.known, type);
  const title = brief(name === '' ? `layer ${index + 1}` : name, 60);
  const count = all?.kind === 'list' ? all.items.length : 0;
  const issues = draft.issuesAt.value.get(keyOf(path)) ?? [];
  const wrong = draft.issues.value.filter(({ path: place }) =>
    path.every((step, depth) => place[depth] === step),
  ).length;
  return (
    <li class="layer" data-path={keyOf(path)}>
      <div class="layer-head">
        <button
          type="button"
          class="layer-title"
          aria-expanded={open.value}
          aria-controls={`${id}-body`}
          onClick={() => {
            open.value = !open.value;
          }}
        >
          <span class="text">{title}</span>
          <span class="layer-type">{brief(type === '' ? 'no type' : type, 60)}</span>
          {wrong > 0 && !open.value && <span class="chip bad">{wrong} wrong</span>}
        </button>
        <span class="field-tools">
          <Movers
            index={index}
            count={count}
            what={title}
            onMove={(from, to) => {
              if (all?.kind === 'list') draft.edit(layers, list(moved(all.items, from, to)));
              focusPath([...layers, to], 'tools');
            }}
          />
          <button
            type="button"
            class="quiet tiny"
            aria-label={`Remove ${title}`}
            title="Remove"
            onClick={() => draft.remove(path, `Removed the layer “${title}”.`)}
          >
            <Cross />
          </button>
        </span>
      </div>
      {open.value && (
        <div class="layer-body" id={`${id}-body`}>
          <Issues messages={issues.map(({ message }) => message)} />
          <div class="pair">
            <NameField draft={draft} path={path} index={index} name={name} />
            <TypeField draft={draft} path={path} type={type} />
          </div>
          {info !== null && <Dependencies draft={draft} path={path} index={index} info={info} />}
          <Config draft={draft} path={path} title={title} schema={schema} isKnown={info !== null} />
          <Others draft={draft} path={path} title={title} schema={schema} />
        </div>
      )}
    </li>
  );
}

interface PartProps {
  readonly draft: Draft;
  /** Of the layer. */
  readonly path: Path;
}

/** A name counts when it is finished: then what depends on the layer follows. */
function NameField({ draft, path, index, name }: PartProps & { readonly index: number; readonly name: string }) {
  const id = useId();
  const issues = draft.issuesAt.value.get(keyOf([...path, 'name'])) ?? [];
  return (
    <div class={`form-field ${issues.length > 0 ? 'wrong' : ''}`} data-path={keyOf([...path, 'name'])}>
      <label class="field-name" htmlFor={id}>
        Name
      </label>
      <input
        id={id}
        type="text"
        class="mono"
        autocomplete="off"
        spellcheck={false}
        value={name}
        aria-invalid={issues.length > 0}
        {...(issues.length > 0 ? { 'aria-describedby': `${id}-issues` } : {})}
        onChange={(event) =>
          draft.edit([], renamed(draft.root.value, draft.base.value, index, event.currentTarget.value))
        }
      />
      <Issues id={`${id}-issues`} messages={issues.map(({ message }) => message)} />
    </div>
  );
}

/** A type that this page does not know is kept. Choosing another one keeps the configuration: it may fit. */
function TypeField({ draft, path, type }: PartProps & { readonly type: string }) {
  const id = useId();
  const issues = draft.issuesAt.value.get(keyOf([...path, 'type'])) ?? [];
  const types = draft.known.layers.map((layer) => layer.type);
  return (
    <div class={`form-field ${issues.length > 0 ? 'wrong' : ''}`} data-path={keyOf([...path, 'type'])}>
      <label class="field-name" htmlFor={id}>
        Type
      </label>
      <select
        id={id}
        value={type}
        onChange={(event) => draft.edit([...path, 'type'], text(event.currentTarget.value))}
        {...(issues.length > 0 ? { 'aria-describedby': `${id}-issues` } : {})}
      >
        {!types.includes(type) && <option value={type}>{type === '' ? '–' : brief(type, 80)}</option>}
        {types.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
      <Issues id={`${id}-issues`} messages={issues.map(({ message }) => message)} />
    </div>
  );
}

/** One choice per dependency: the layers before this one that may stand there. */
function Dependencies({ draft, path, index, info }: PartProps & { readonly index: number; readonly info: LayerInfo }) {
  const deps = get(at(draft.root.value, path), 'deps');
  const places = placesOf(draft.known, at(draft.root.value, path.slice(0, -1)));
  const present = membersOf(deps).map(({ key }) => key);
  // A dependency that no type of this server can be is offered only where it is used.
  const canBe = (classNames: readonly string[]) =>
    draft.known.layers.some(({ className }) => classNames.includes(className));
  const fittingFor = (classNames: readonly string[]) =>
    places.slice(0, index).filter((place) => classNames.includes(place.info?.className ?? ''));
  const isOffered = ({ classNames, required }: LayerInfo['deps'][string]): boolean =>
    (required && canBe(classNames)) || fittingFor(classNames).length > 0;
  const declared = Object.entries(info.deps).filter(([key, spec]) => present.includes(key) || isOffered(spec));
  const keys = [...new Set([...declared.map(([key]) => key), ...present])];
  return (
    <>
      {keys.map((key) => {
        const spec = Object.hasOwn(info.deps, key) ? info.deps[key] : undefined;
        const value = textOf(get(deps, key)) ?? '';
        const names = fittingFor(spec?.classNames ?? []).map(({ name }) => name);
        return (
          <Dependency
            key={key}
            name={key}
            value={value}
            names={names}
            required={spec?.required ?? false}
            draft={draft}
            path={[...path, 'deps', key]}
            onChange={(name) => {
              if (name !== '') draft.edit([...path, 'deps', key], text(name));
              else if (present.length === 1) draft.edit([...path, 'deps'], undefined);
              else draft.edit([...path, 'deps', key], undefined);
            }}
          />
        );
      })}
    </>
  );
}

interface DependencyProps extends PartProps {
  readonly name: string;
  readonly value: string;
  readonly names: readonly string[];
  readonly required: boolean;
  readonly onChange: (name: string) => void;
}

function Dependency({ draft, path, name, value, names, required, onChange }: DependencyProps) {
  const id = useId();
  const issues = draft.issuesAt.value.get(keyOf(path)) ?? [];
  return (
    <div class={`form-field ${issues.length > 0 ? 'wrong' : ''}`} data-path={keyOf(path)}>
      <label class="field-name" htmlFor={id}>
        Depends on <code>{brief(name, 60)}</code>
        {required && <span class="muted"> required</span>}
      </label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">–</option>
        {value !== '' && !names.includes(value) && <option value={value}>{brief(value, 80)}</option>}
        {names.map((one) => (
          <option key={one} value={one}>
            {brief(one, 80)}
          </option>
        ))}
      </select>
      {names.length === 0 && <p class="hint">No layer before this one can be it.</p>}
      <Issues messages={issues.map(({ message }) => message)} />
    </div>
  );
}

interface ConfigProps extends PartProps {
  readonly title: string;
  readonly schema: Schema;
  readonly isKnown: boolean;
}

function Config({ draft, path, title, schema, isKnown }: ConfigProps) {
  const own: Path = [...path, 'config'];
  const config = schema.properties?.config ?? {};
  const node = at(draft.root.value, own);
  const hasFields = Object.keys(config.properties ?? {}).length > 0;
  if (isKnown && !hasFields && membersOf(node).length === 0) return <p class="muted small">Nothing to configure.</p>;
  if (node === undefined || (node.kind === 'word' && node.value === null)) {
    return (
      <button
        type="button"
        class="adder"
        aria-label={`Configure ${title}`}
        onClick={() => {
          draft.edit(own, isKnown ? beginning(config) : object([]));
          focusPath(own);
        }}
      >
        + config
      </button>
    );
  }
  return (
    <Field
      draft={draft}
      schema={isKnown ? config : {}}
      path={own}
      name="config"
      full={`${title}: config`}
      headless={isKnown}
    />
  );
}

/** Metadata, and keys that nobody knows. */
function Others({ draft, path, title, schema }: PartProps & { readonly title: string; readonly schema: Schema }) {
  const layer = at(draft.root.value, path);
  const keys = membersOf(layer).flatMap(({ key }) => (OWN.has(key) ? [] : [key]));
  return (
    <>
      {keys.map((key) => (
        <Field
          key={key}
          draft={draft}
          schema={
            schema.properties !== undefined && Object.hasOwn(schema.properties, key)
              ? (schema.properties[key] ?? {})
              : {}
          }
          path={[...path, key]}
          name={key}
          full={`${title}: ${visible(key)}`}
          onRemove={() => draft.remove([...path, key], `Removed “${brief(key, 60)}”.`)}
        />
      ))}
    </>
  );
}
