/**
 * How the API server merges what several writers say about one place of a child.
 *
 * Owns: the one table of lists whose items have keys, and of maps that are one value. It is the API's own
 *       structure (`x-kubernetes-list-map-keys`, `x-kubernetes-map-type`); a test holds it against the schemas.
 * Pure. A list that is not here is one value, a map that is not here is merged field by field.
 */

import { ownValue } from '../../api/record.ts';

/** Fields that identify an item of a list, in the order in which managedFields writes them. */
export type ItemKeys = readonly string[];

/** By the list's field name. Two lists are named `ports`: a container's and a Service's. */
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

/** By the map's field name. `selector` is a Service's map and a workload's LabelSelector: both are one value. */
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

/** What an item has where a key is left out. */
const keyDefaults: Readonly<Record<string, unknown>> = { protocol: 'TCP' };

/**
 * @param field name of the list's field
 * @param items of the list, wanted or live: they tell the two lists named `ports` apart
 * @returns undefined when the list is one value
 */
export function itemKeysOf(field: string, items: readonly unknown[]): ItemKeys | undefined {
  const candidates = ownValue(keyedLists, field);
  if (candidates === undefined || candidates.length < 2) return candidates?.[0];
  const first = items.find((item) => typeof item === 'object' && item !== null) ?? {};
  return candidates.find(([key = '']) => key in first) ?? candidates[0];
}

/** Whether the map at a field of this name is one value: a key more or less makes it another. */
export function isAtomicMapField(field: string): boolean {
  return atomicMaps.has(field);
}

/** The item's identity as text; items of one list with the same text are the same item. */
export function itemKey(item: unknown, keys: ItemKeys): string {
  const fields = (typeof item === 'object' && item !== null ? item : {}) as Readonly<Record<string, unknown>>;
  return JSON.stringify(keys.map((key) => fields[key] ?? ownValue(keyDefaults, key)));
}

/** For the test that holds this table against the API's schemas. */
export const shapeTable = { keyedLists, atomicMaps } as const;
