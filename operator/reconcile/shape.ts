/**
 * Describes how the API server merges fields that several writers set.
 *
 * Owns: the table of keyed lists and atomic maps, copied from the API (`x-kubernetes-list-map-keys`,
 * `x-kubernetes-map-type`); a test compares it with the schemas. Lists that are not in the table are atomic. Maps that
 * are not in the table merge by field.
 * Pure.
 */

import { ownValue } from '../../api/record.ts';

/** The fields that identify an item of a list, in the order in which managedFields has them. */
export type ItemKeys = readonly string[];

/**
 * For each name of a list's field, the keys of its items. `ports` has two entries, because the ports of a container and
 * of a Service have different keys.
 */
const keyedLists: Readonly<Record<string, readonly ItemKeys[]>> = {
  containers: [['name']],
  initContainers: [['name']],
  ephemeralContainers: [['name']],
  env: [['name']],
  volumes: [['name']],
  volumeMounts: [['mountPath']],
  volumeDevices: [['devicePath']],
  ports: [
    ['containerPort', 'protocol'],
    ['port', 'protocol'],
  ],
  hostAliases: [['ip']],
  imagePullSecrets: [['name']],
  topologySpreadConstraints: [['topologyKey', 'whenUnsatisfiable']],
  resourceClaims: [['name']],
  schedulingGates: [['name']],
  claims: [['name']],
  ownerReferences: [['uid']],
};

/**
 * Names of fields with an atomic map. `selector` is the map of a Service or the LabelSelector of a workload; both are
 * atomic.
 */
const atomicMaps: ReadonlySet<string> = new Set([
  'selector',
  'nodeSelector',
  'labelSelector',
  'namespaceSelector',
  'matchLabels',
  'fieldRef',
  'resourceFieldRef',
  'configMapKeyRef',
  'secretKeyRef',
  'fileKeyRef',
]);

/** The default of a key that an item omits. */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

/**
 * @param field the name of the list's field
 * @param items the items of the list, in the manifest or in the live object. They show whether a list named `ports`
 * belongs to a container or to a Service
 * @returns undefined when the list is atomic
 */
export function itemKeysOf(field: string, items: readonly unknown[]): ItemKeys | undefined {
  const candidates = ownValue(keyedLists, field);
  if (candidates === undefined || candidates.length < 2) return candidates?.[0];
  const first = items.find((item) => typeof item === 'object' && item !== null) ?? {};
  return candidates.find(([key = '']) => key in first) ?? candidates[0];
}

/** Whether the map in a field of this name is atomic. In an atomic map, an additional key is a difference. */
export function isAtomicMapField(field: string): boolean {
  return atomicMaps.has(field);
}

/** The item's identity as text. Two items with equal texts are the same item of a list. */
export function itemKey(item: unknown, keys: ItemKeys): string {
  const fields = (typeof item === 'object' && item !== null ? item : {}) as Readonly<Record<string, unknown>>;
  return JSON.stringify(keys.map((key) => fields[key] ?? ownValue(keyDefaults, key)));
}

/** Exported for the test that compares this table with the API's schemas. */
export const shapeTable = { keyedLists, atomicMaps } as const;
