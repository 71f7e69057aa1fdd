/**
 * Decides whether a live object (as the API server has it) already matches its manifest (as the operator wants it), so
 * that the operator writes nothing while nothing changes.
 *
 * Owns: the comparison by the API's structure (reconcile/shape.ts): atomic maps and lists must be equal, items of other
 * lists are matched by their keys, and quantities are compared by value. The applied hash, an annotation, reveals
 * fields that were removed from the manifest since the last apply. The server's answer to the last apply also counts as
 * a match, because servers round values and webhooks mutate objects.
 * Pure.
 */
import { createHash } from 'node:crypto';
import { annotations } from '../../api/names.ts';
import { nanosOf, parseQuantity } from '../../api/quantities.ts';
import { isRecord } from '../../api/record.ts';
import { isSame } from '../../lib/json.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { isAtomicMapField, itemKey, itemKeysOf } from './shape.ts';
import type { Manifest } from '../resources/objects.ts';
import { canonicalJson } from '../../lib/canonical-json.ts';

/** A copy of the manifest with its hash as an annotation. The operator applies this copy. */
export function stamped(wanted: Manifest): Manifest {
  const hash = createHash('sha256').update(canonicalJson(wanted)).digest('hex').slice(0, 16);
  return {
    ...wanted,
    metadata: { ...wanted.metadata, annotations: { ...wanted.metadata.annotations, [annotations.applied]: hash } },
  };
}

/**
 * @param wanted the result of `stamped`
 * @param live the object in the API server
 * @param answered the API server's answer to the last apply of `wanted`, if known
 */
export function isApplied(wanted: Manifest, live: KubeObject | undefined, answered?: KubeObject): boolean {
  return live !== undefined && differencesOf(wanted, live, answered).length === 0;
}

/** Paths of the fields that differ, such as `spec.ports[8080].name`. */
export function differencesOf(wanted: Manifest, live: KubeObject, answered?: KubeObject): readonly string[] {
  return differences({ wanted, live, answered }, { path: '', field: '' });
}

type Values = { readonly wanted: unknown; readonly live: unknown; readonly answered: unknown };
type Place = {
  readonly path: string;
  /** The name of the field that holds the value. */
  readonly field: string;
  /** True: the value is a Kubernetes quantity, which the server may write in another form. */
  readonly isQuantity?: boolean;
};

/** Fields that hold a map of quantities. */
const quantityMaps: ReadonlySet<string> = new Set(['limits', 'requests']);
/** Fields that hold one quantity. */
const quantityFields: ReadonlySet<string> = new Set(['sizeLimit', 'divisor']);

function differences({ wanted, live, answered }: Values, place: Place): readonly string[] {
  if (wanted === undefined || (answered !== undefined && isSame(live, answered))) return [];
  if (live === undefined && isNothing(wanted, place.field)) return [];
  if (Array.isArray(wanted)) return listDifferences({ wanted, live, answered }, place);
  if (isRecord(wanted)) return mapDifferences({ wanted, live, answered }, place);
  return isSameValue(live, wanted, place) ? [] : [place.path];
}

function isSameValue(live: unknown, wanted: unknown, { isQuantity = false }: Place): boolean {
  return live === wanted || (isQuantity && sameQuantity(live, wanted));
}

/**
 * Fields that the server omits when they are false or 0. In other fields, such as `allowPrivilegeEscalation`, false and
 * absent are different values.
 */
const omittedWhenZero: ReadonlySet<string> = new Set([
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'paused',
  'minReadySeconds',
  'publishNotReadyAddresses',
  'readOnly',
]);

/**
 * True for null, for an empty text, list or map, and for false or 0 in a field of `omittedWhenZero`. The server drops
 * these values, so they count as equal to an absent field.
 */
function isNothing(value: unknown, field: string): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (value === false || value === 0) return omittedWhenZero.has(field);
  return (
    value === null ||
    value === '' ||
    (isRecord(value) && Object.entries(value).every(([name, inner]) => isNothing(inner, name)))
  );
}

function listDifferences(
  { wanted, live, answered }: Values & { readonly wanted: readonly unknown[] },
  { path, field }: Place,
): readonly string[] {
  if (!Array.isArray(live)) return [path];
  const keys = itemKeysOf(field, wanted);
  if (keys === undefined) {
    if (live.length !== wanted.length) return [path];
    return wanted.flatMap((item, i) =>
      differences(
        { wanted: item, live: live[i] as unknown, answered: itemOf(answered, i) },
        { path: `${path}[${i}]`, field: '' },
      ),
    );
  }
  const byKey = (items: unknown): Map<string, unknown> =>
    new Map((Array.isArray(items) ? items : []).map((item: unknown) => [itemKey(item, keys), item]));
  const [lives, answers] = [byKey(live), byKey(answered)];
  return wanted.flatMap((item) => {
    const key = itemKey(item, keys);
    const here = { path: `${path}[${(JSON.parse(key) as unknown[]).join('/')}]`, field: '' };
    return lives.has(key)
      ? differences({ wanted: item, live: lives.get(key), answered: answers.get(key) }, here)
      : [here.path];
  });
}

function itemOf(list: unknown, index: number): unknown {
  return Array.isArray(list) ? (list[index] as unknown) : undefined;
}

function mapDifferences(
  { wanted, live, answered }: Values & { readonly wanted: Readonly<Record<string, unknown>> },
  { path, field }: Place,
): readonly string[] {
  if (!isRecord(live)) return [path];
  const more = isAtomicMapField(field)
    ? Object.keys(live).filter((name) => !(name in wanted) && !isDefaulted(field, name))
    : [];
  if (more.length > 0) return [path];
  const before = isRecord(answered) ? answered : {};
  return Object.entries(wanted).flatMap(([name, value]) => {
    const isQuantity = quantityMaps.has(field) || quantityFields.has(name);
    return differences(
      { wanted: value, live: live[name], answered: before[name] },
      { path: path === '' ? name : `${path}.${name}`, field: name, isQuantity },
    );
  });
}

/** True for a field of an atomic map that the server sets by default. */
function isDefaulted(field: string, name: string): boolean {
  return (field === 'fieldRef' && name === 'apiVersion') || (field === 'resourceFieldRef' && name === 'divisor');
}

/**
 * Compares two quantities as the server stores them. The server keeps nine decimals, but only three in requests and
 * limits, and it rounds up: 1.0001m becomes 2m.
 */
function sameQuantity(live: unknown, wanted: unknown): boolean {
  const [first, second] = [amountOf(live), amountOf(wanted)];
  if (first === undefined || second === undefined) return false;
  if (first === second) return true;
  const [kept, asked] = [nanosOf(String(live)), nanosOf(String(wanted))];
  return (
    kept !== undefined &&
    asked !== undefined &&
    (kept === asked || kept === ((asked + 999_999n) / 1_000_000n) * 1_000_000n)
  );
}

function amountOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' ? parseQuantity(value) : undefined;
}
