/**
 * Decides which models one of several operators handles: the models whose namespace and name hash into its shard.
 *
 * Owns: the hash. It is the same in every version: two operators that disagree would handle a model twice or never.
 * Pure.
 */

/** `of` is the number of shards, and `index` counts from 0. If `of` is 1, the operator is not sharded. */
export type Shard = { readonly index: number; readonly of: number };

/** @param key `namespace/name` */
export function isInShard({ index, of }: Shard, key: string): boolean {
  return of === 1 || hashOf(key) % of === index;
}

/**
 * FNV-1a over the UTF-16 code units (names in Kubernetes are ASCII), then the final mix of MurmurHash3. Without the
 * mix, the lowest bit would be the parity of the characters' lowest bits: all keys of the form `team-7/model-7` would
 * be in the same of two shards, because the repeated digits cancel out.
 */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
