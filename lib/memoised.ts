/**
 * Remembers what a pure function made of an object, for as long as the object exists.
 *
 * Limits: the object must not change. Readers of a cache get the same object until it changes in the cluster.
 */
export function memoised<A extends WeakKey, R>(compute: (of: A) => R): (of: A) => R {
  const known = new WeakMap<A, { readonly result: R }>();
  return (of) => {
    const before = known.get(of);
    if (before !== undefined) return before.result;
    const result = compute(of);
    known.set(of, { result });
    return result;
  };
}
