/**
 * Which models one of several operators handles: those whose namespace and name hash into its shard.
 *
 * Owns: the hash. It is the same in every version: two operators that disagree would handle a model twice or never.
 * Pure.
 */

/** `index` counts from 0. One shard of one is an operator that is not sharded. */
export type Shard = { readonly index: number; readonly of: number };

/** @param key `namespace/name` */
export function isInShard({ index, of }: Shard, key: string): boolean {
  return of === 1 || hashOf(key) % of === index;
}

/**
 * FNV-1a over the UTF-16 code units (names in Kubernetes are ASCII), then the last mix of MurmurHash3: the low bits of
 * FNV-1a alone are nearly a parity of the text, and names often differ in one digit.
 */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
