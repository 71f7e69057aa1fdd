/**
 * Finds in managedFields the fields of a child (an object that the operator makes for a model) that other writers set
 * (foreign fields), and decides which of them the operator removes.
 *
 * Owns: the rule. Foreign containers, variables, volumes, mounts, ports, files, labels and annotations stay and appear
 * in the status. Other foreign fields (hostNetwork, paused …) are removed, and so are ports that conflict. Fields that
 * the API server or a webhook set during our own apply are not foreign.
 * Pure.
 */
import { fieldManager } from '../../api/names.ts';
import { isRecord } from '../../api/record.ts';
import { copyOf, isSame, type JsonRecord } from '../../lib/json.ts';
import type { KubeObject, ManagedFieldsEntry } from '../../api/kube-object.ts';
import type { Manifest } from '../resources/objects.ts';
import { isAtomicMapField, itemKey, itemKeysOf } from './shape.ts';

/** The field manager of a merge patch that removes foreign fields before a server-side apply. */
export const repairManager = 'onnx-operator-repair';

/** One step of a path in an object: a field name, or `{ keys, key }` for an item of a keyed list. */
type Step = string | ItemStep;
type ItemStep = { readonly keys: readonly string[]; readonly key: string };
type ForeignField = { readonly path: readonly Step[]; readonly manager: string };

export type ForeignFields = {
  /** Foreign fields that the operator removes, because serving or the shares of the traffic depend on them. */
  readonly takeOut: readonly ForeignField[];
  /** Foreign fields that stay. */
  readonly kept: readonly ForeignField[];
  /**
   * Our atomic fields, such as a selector or a list of rules, that another manager owns as well. The other manager may
   * have changed any part of these fields.
   */
  readonly shared: readonly ForeignField[];
};
type Found = { readonly [kind in keyof ForeignFields]: ForeignField[] };

/**
 * Parts of an object that are not searched for foreign fields. Foreign metadata stays, and controllers write the
 * status.
 */
const passedOver: ReadonlySet<string> = new Set(['f:metadata', 'f:status', 'f:apiVersion', 'f:kind']);
/** Lists in which foreign items stay. */
const toleratedItems: ReadonlySet<string> = new Set([
  'containers',
  'initContainers',
  'ephemeralContainers',
  'env',
  'volumes',
  'volumeMounts',
  'volumeDevices',
  'ports',
  'imagePullSecrets',
]);
/** Maps in which foreign keys stay. */
const toleratedKeys: ReadonlySet<string> = new Set(['labels', 'annotations', 'data', 'binaryData']);
/** Fields that cannot be unset, or that the API server assigns. */
const irrevocable: ReadonlySet<string> = new Set([
  'immutable',
  'clusterIP',
  'clusterIPs',
  'ipFamilies',
  'ipFamilyPolicy',
]);

/** Entries that may hold foreign fields: all except the operator's own entries and entries of subresources. */
export function foreignEntries(entries: readonly ManagedFieldsEntry[] | undefined): readonly ManagedFieldsEntry[] {
  return (entries ?? []).filter(
    ({ manager, subresource }) => manager !== fieldManager && manager !== repairManager && (subresource ?? '') === '',
  );
}

export function foreignFieldsOf(wanted: Manifest, live: KubeObject): ForeignFields {
  const found: Found = { takeOut: [], kept: [], shared: [] };
  const entries = foreignEntries(live.metadata.managedFields);
  if (entries.length > 0) found.takeOut.push(...duplicatesOf({ wanted, live }, [], ''));
  for (const { manager = '', fieldsV1 } of entries) {
    if (!isRecord(fieldsV1)) continue;
    for (const [step, below] of Object.entries(fieldsV1)) {
      if (!passedOver.has(step)) walk({ step, below, wanted, live }, { path: [], field: '', manager, found });
    }
  }
  return found;
}

/**
 * Finds foreign duplicates of our items. For example, the API allows two variables with the same name, and the last one
 * is effective.
 */
function duplicatesOf(
  { wanted, live }: { readonly wanted: unknown; readonly live: unknown },
  path: readonly Step[],
  field: string,
): readonly ForeignField[] {
  if (isRecord(wanted) && isRecord(live))
    return Object.keys(wanted).flatMap((name) =>
      duplicatesOf({ wanted: wanted[name], live: live[name] }, [...path, name], name),
    );
  const keys = Array.isArray(wanted) ? itemKeysOf(field, wanted) : undefined;
  if (keys === undefined || !Array.isArray(wanted) || !Array.isArray(live)) return [];
  return wanted.flatMap((item: unknown) => {
    const key = itemKey(item, keys);
    const same = live.filter((one) => itemKey(one, keys) === key);
    const here = [...path, { keys, key }];
    return same.length > 1
      ? [{ path: here, manager: 'another writer' }]
      : duplicatesOf({ wanted: item, live: same[0] as unknown }, here, '');
  });
}

type Node = { readonly step: string; readonly below: unknown; readonly wanted: unknown; readonly live: unknown };
type Walk = {
  readonly path: readonly Step[];
  /** The name of the field that holds the node. */ readonly field: string;
  readonly manager: string;
  readonly found: Found;
};

function walk({ step, below, wanted, live }: Node, at: Walk): void {
  if (step.startsWith('f:')) return walkField(step.slice(2), { below, wanted, live }, at);
  if (step.startsWith('k:')) return walkItem(step.slice(2), { below, wanted, live }, at);
}

function walkField(name: string, { below, wanted, live }: Omit<Node, 'step'>, at: Walk): void {
  const [ours, current] = [isRecord(wanted) ? wanted[name] : undefined, isRecord(live) ? live[name] : undefined];
  if (current === undefined) return;
  const path = [...at.path, name];
  if (ours === undefined) {
    const stays =
      toleratedKeys.has(at.field) || toleratedKeys.has(name) || toleratedItems.has(name) || irrevocable.has(name);
    (stays ? at.found.kept : at.found.takeOut).push({ path, manager: at.manager });
    return;
  }
  walkBelow({ below, wanted: ours, live: current }, { ...at, path, field: name });
}

function walkItem(keyText: string, { below, wanted, live }: Omit<Node, 'step'>, at: Walk): void {
  const theKey = parsed(keyText);
  const keys = itemKeysOf(at.field, [theKey]);
  if (keys === undefined || !Array.isArray(live)) return;
  const key = itemKey(theKey, keys);
  const find = (items: unknown): unknown =>
    Array.isArray(items) ? (items.find((item) => itemKey(item, keys) === key) as unknown) : undefined;
  const [ours, current] = [find(wanted), find(live)];
  if (current === undefined) return;
  const path = [...at.path, { keys, key }];
  if (ours !== undefined) {
    walkBelow({ below, wanted: ours, live: current }, { ...at, path, field: '' });
    return;
  }
  const stays = toleratedItems.has(at.field) && !(at.field === 'ports' && isInTheWay(current, wanted));
  (stays ? at.found.kept : at.found.takeOut).push({ path, manager: at.manager });
}

function walkBelow({ below, wanted, live }: Omit<Node, 'step'>, at: Walk): void {
  if (!isRecord(below)) return;
  if (Object.keys(below).length === 0 && typeof wanted === 'object')
    at.found.shared.push({ path: at.path, manager: at.manager });
  for (const [step, deeper] of Object.entries(below)) if (step !== '.') walk({ step, below: deeper, wanted, live }, at);
}

/**
 * Whether a foreign port conflicts with our ports. The API requires unique names, so a port conflicts if it does not
 * have a name or has the name of one of ours.
 */
function isInTheWay(port: unknown, wanted: unknown): boolean {
  const name = isRecord(port) ? port['name'] : undefined;
  return name === undefined || (Array.isArray(wanted) && wanted.some((one) => isRecord(one) && one['name'] === name));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether the two objects have the same value at the field's path. */
export function isSameAt({ path }: ForeignField, one: KubeObject, other: KubeObject): boolean {
  return isSame(valueAt(one, path), valueAt(other, path));
}

function valueAt(object: unknown, [step, ...rest]: readonly Step[]): unknown {
  if (step === undefined) return object;
  if (typeof step === 'string') return isRecord(object) ? valueAt(object[step], rest) : undefined;
  return Array.isArray(object)
    ? valueAt(
        object.find((item) => itemKey(item, step.keys) === step.key),
        rest,
      )
    : undefined;
}

/**
 * A JSON merge patch that removes foreign fields and sets ours in the same write. With two writes, the state between
 * them could be invalid: for example, the API refuses a Service without ports.
 */
export function repairPatch(wanted: Manifest, live: KubeObject, takeOut: readonly ForeignField[]): JsonRecord {
  const {
    apiVersion: _v,
    kind: _k,
    metadata: _m,
    status: _s,
    managedFields: _f,
    ...before
  } = live as unknown as JsonRecord;
  const after = copyOf(before);
  for (const { path } of takeOut) removeAt(after, path);
  const { apiVersion: _wv, kind: _wk, metadata: _wm, ...mine } = wanted as JsonRecord;
  const repaired = merged(after, mine, '') as JsonRecord;
  const { uid, resourceVersion } = live.metadata;
  return {
    ...mergePatch(before, repaired),
    metadata: { ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) },
  };
}

/**
 * The merge patch that gives our fields their values and removes `takeOut`. The patch contains only the differences
 * from `live`. Therefore the API server refuses it (409) when the object has changed since `live` was read.
 */
export function updatePatch(wanted: Manifest, live: KubeObject, takeOut: readonly ForeignField[]): JsonRecord {
  const { metadata: target, ...fields } = repairPatch(wanted, live, takeOut) as { readonly metadata: JsonRecord };
  const { labels = {}, annotations = {}, ownerReferences } = live.metadata;
  const before = { labels, annotations, ...(ownerReferences === undefined ? {} : { ownerReferences }) };
  const { labels: ourLabels, annotations: ourAnnotations, ownerReferences: ourOwners } = wanted.metadata;
  const after = merged(
    before,
    {
      ...(ourLabels === undefined ? {} : { labels: ourLabels }),
      ...(ourAnnotations === undefined ? {} : { annotations: ourAnnotations }),
      ...(ourOwners === undefined ? {} : { ownerReferences: ourOwners }),
    },
    '',
  ) as JsonRecord;
  const metadata = mergePatch(before, after);
  return { ...fields, metadata: { ...metadata, ...target } };
}

function removeAt(object: unknown, [step, ...rest]: readonly Step[]): void {
  if (step === undefined) return;
  if (typeof step === 'string') {
    if (!isRecord(object)) return;
    if (rest.length > 0) removeAt(object[step], rest);
    else delete object[step];
    return;
  }
  if (!Array.isArray(object)) return;
  for (let i = object.length - 1; i >= 0; i -= 1) {
    if (itemKey(object[i], step.keys) !== step.key) continue;
    if (rest.length > 0) removeAt(object[i], rest);
    else object.splice(i, 1);
  }
}

/** The result of applying `mine` over `live`: maps merge by field, keyed lists by item, other values are replaced. */
function merged(live: unknown, mine: unknown, field: string): unknown {
  if (isRecord(mine) && isRecord(live) && !isAtomicMapField(field)) {
    const out: JsonRecord = { ...live };
    for (const [name, value] of Object.entries(mine)) out[name] = merged(live[name], value, name);
    return out;
  }
  if (!Array.isArray(mine) || !Array.isArray(live)) return mine;
  const keys = itemKeysOf(field, mine);
  if (keys === undefined) return mine;
  const found = (item: unknown, among: readonly unknown[]): unknown =>
    among.find((one) => itemKey(one, keys) === itemKey(item, keys));
  // If no item is missing, the live order stays: another order of containers would restart pods. Otherwise the list
  // gets the order of the manifest again, so that the repaired template is equal to the template of the running pods.
  if (mine.every((item) => found(item, live) !== undefined))
    return live.map((item: unknown) => {
      const ours = found(item, mine);
      return ours === undefined ? item : merged(item, ours, '');
    });
  return [
    ...mine.map((item: unknown) => merged(found(item, live), item, '')),
    ...live.filter((item) => found(item, mine) === undefined),
  ];
}

/** The merge patch (RFC 7386) that turns `from` into `to`. A list that differs is replaced completely. */
function mergePatch(from: JsonRecord, to: JsonRecord): JsonRecord {
  const patch: JsonRecord = {};
  for (const name of Object.keys(from)) if (!(name in to)) patch[name] = null;
  for (const [name, value] of Object.entries(to)) {
    const before = from[name];
    if (isSame(before, value)) continue;
    patch[name] = isRecord(before) && isRecord(value) ? mergePatch(before, value) : value;
  }
  return patch;
}

/** The path and the manager of a field, for example `spec.template.spec.containers[log-agent] (kubectl-edit)`. */
export function foreignText({ path, manager }: ForeignField): string {
  const place = path.reduce<string>(
    (text, step) =>
      typeof step === 'string'
        ? `${text}${text === '' ? '' : '.'}${step}`
        : `${text}[${(JSON.parse(step.key) as unknown[]).join('/')}]`,
    '',
  );
  return `${place} (${manager})`;
}
