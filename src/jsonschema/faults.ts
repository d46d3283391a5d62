// Which fault is told, and where: of all faults the first by path (segments as strings, compared as tuples), and among
// those of one place the one that the reference's validator meets first (spec 02 §9.4). The validator reports in an order
// of its own, one error per name, and also what is only context: why each alternative of an `anyOf` does not fit.

import type { ErrorObject } from 'ajv';
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { keysOf } from '../wiretext/json.ts';
import { byCodePoint } from './order.ts';
import { at, segmentsOf } from './pointers.ts';
import type { Place } from './resolved.ts';
import { describe, type Violation } from './words.ts';

/** A fault before it is worded. */
interface Finding {
  readonly error: ErrorObject;
  readonly keyword: string;
  readonly place: Place;
  /** JSON pointer to the offending value. */
  readonly target: string;
  /** The pointer that is told: the same, but for a schema that nothing fits, which the reference places at the owner. */
  readonly pointer: string;
  /** When the reference meets it; compared item by item. */
  readonly rank: readonly number[];
}

/** What is wrong with the value, as `<path>: <message>`; errors are those of the compiled schema with these places. */
export function firstFault(
  errors: readonly ErrorObject[],
  places: ReadonlyMap<unknown, Place>,
  value: JsonValue,
  old: boolean,
): string {
  const positions = new Map<object, ReadonlyMap<string, number>>();
  const findings = errors.flatMap((error) => findingOf(error, places, value, positions) ?? []);
  const [head, ...others] = findings;
  if (head === undefined) return '$: the value does not match'; // cannot happen: what is only context has its owner's error beside it
  const first = others.reduce((earliest, finding) => (isEarlier(finding, earliest) ? finding : earliest), head);
  const same = findings.filter((finding) => isSame(finding, first)).map(({ error }) => error);
  const offending = at(value, segmentsOf(first.target));
  const sentence = describe(violationOf(first, same, errors, places, offending, old));
  return `${printPath(segmentsOf(first.pointer), value)}: ${sentence}`;
}

/** Keywords whose schemas are only tried: their errors explain the keyword's own. */
const TRIED: ReadonlySet<string> = new Set(['anyOf', 'contains', 'if', 'not', 'oneOf']);
/** Keywords whose schemas are for members of the value; the others' are for the value itself. */
const DESCENDING: ReadonlySet<string> = new Set([
  'additionalItems',
  'additionalProperties',
  'items',
  'patternProperties',
  'prefixItems',
  'properties',
  'unevaluatedItems',
  'unevaluatedProperties',
]);

/** Null for what is only context. `positions` remembers where the names of an object stand. */
function findingOf(
  error: ErrorObject,
  places: ReadonlyMap<unknown, Place>,
  value: JsonValue,
  positions: Map<object, ReadonlyMap<string, number>>,
): Finding | null {
  const place = places.get(error.parentSchema);
  const { keyword } = error;
  if (place === undefined || keyword === 'if' || keyword === 'propertyNames') return null;
  const target = error.instancePath;
  const atOwner = place.source === false && DESCENDING.has(place.parent?.keyword ?? '');
  const pointer = atOwner ? ancestor(target, 1) : target;
  let finding: Finding = { error, keyword, place, target, pointer, rank: [place.order.get(keyword) ?? 0] };
  let levels = 0;
  for (let { parent } = place; parent !== null; { parent } = parent.place) {
    if (TRIED.has(parent.keyword)) return null;
    if (DESCENDING.has(parent.keyword)) levels++;
    const turn = parent.place.order.get(parent.keyword) ?? 0;
    if (parent.keyword === 'propertyNames') {
      const owner = at(value, segmentsOf(target));
      const position = isJsonObject(owner) ? positionsIn(owner, positions).get(error.propertyName ?? '') : undefined;
      finding = { ...finding, rank: [turn, position ?? 0, ...finding.rank] };
    } else if (parent.keyword.startsWith('unevaluated')) {
      // What does not fit the schema for the rest is told at the owner of the rest.
      const owner = ancestor(target, levels);
      finding = { error, keyword: parent.keyword, place: parent.place, target: owner, pointer: owner, rank: [turn] };
    }
  }
  return finding;
}

function positionsIn(owner: JsonObject, known: Map<object, ReadonlyMap<string, number>>): ReadonlyMap<string, number> {
  const positions = known.get(owner) ?? new Map(keysOf(owner).map((key, i) => [key, i]));
  known.set(owner, positions);
  return positions;
}

function ancestor(pointer: string, levels: number): string {
  return pointer.split('/').slice(0, -levels).join('/');
}

function isEarlier(a: Finding, b: Finding): boolean {
  if (a.pointer !== b.pointer) return compareTuples(segmentsOf(a.pointer), segmentsOf(b.pointer), byCodePoint) < 0;
  return compareTuples(a.rank, b.rank, (x, y) => x - y) < 0;
}

function compareTuples<T>(a: readonly T[], b: readonly T[], compare: (x: T, y: T) => number): number {
  for (const [i, item] of a.entries()) {
    const other = b[i];
    if (other === undefined) return 1;
    const difference = compare(item, other);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function isSame(a: Finding, b: Finding): boolean {
  return a.place === b.place && a.keyword === b.keyword && a.target === b.target;
}

/** `same`: all errors of the same keyword at the same place. */
function violationOf(
  finding: Finding,
  same: readonly ErrorObject[],
  errors: readonly ErrorObject[],
  places: ReadonlyMap<unknown, Place>,
  value: JsonValue,
  old: boolean,
): Violation {
  const { error, keyword, place } = finding;
  return {
    keyword,
    schema: place.source,
    value: error.propertyName ?? value,
    extras: extrasOf(finding, same, value),
    fitting: error.params.passingSchemas ?? [],
    matching: keyword === 'contains' ? matchingItems(finding, errors, places, value) : 0,
    old,
  };
}

function extrasOf(
  { error, keyword, target }: Finding,
  same: readonly ErrorObject[],
  value: JsonValue,
): readonly JsonValue[] {
  const { params } = error;
  const memberOf = (each: ErrorObject): string => segmentsOf(each.instancePath.slice(target.length))[0] ?? '';
  switch (keyword) {
    case 'additionalProperties':
      return same.map((each) => each.params.additionalProperty);
    case 'unevaluatedProperties':
      return same.map((each) => each.params.unevaluatedProperty ?? memberOf(each));
    case 'required':
      return [params.missingProperty];
    case 'dependencies':
    case 'dependentRequired':
      return [params.missingProperty, params.property];
    case 'items':
    case 'additionalItems':
    case 'unevaluatedItems': {
      if (!Array.isArray(value)) return [];
      if (error.keyword === keyword) return value.slice(params.limit);
      return [...new Set(same.map(memberOf))].map((index) => value[Number(index)] ?? null);
    }
    default:
      return [];
  }
}

/** How many items `contains` accepts: each of the others has an error of its own. */
function matchingItems(
  { target, place }: Finding,
  errors: readonly ErrorObject[],
  places: ReadonlyMap<unknown, Place>,
  value: JsonValue,
): number {
  if (!Array.isArray(value)) return 0;
  const failing = new Set<string>();
  for (const { instancePath, parentSchema } of errors) {
    if (!instancePath.startsWith(`${target}/`)) continue;
    if (isWithin(places.get(parentSchema), place, 'contains')) {
      failing.add(instancePath.slice(target.length + 1).split('/')[0] ?? '');
    }
  }
  return value.length - failing.size;
}

function isWithin(place: Place | undefined, owner: Place, keyword: string): boolean {
  for (let parent = place?.parent ?? null; parent !== null; { parent } = parent.place) {
    if (parent.place === owner) return parent.keyword === keyword;
  }
  return false;
}

/** `$`, `$.a`, `$.a[0].b`. */
function printPath(path: readonly string[], value: JsonValue): string {
  const steps = path.map((segment, i) => (Array.isArray(at(value, path.slice(0, i))) ? `[${segment}]` : `.${segment}`));
  return `$${steps.join('')}`;
}
