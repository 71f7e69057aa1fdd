/**
 * Remembers the result of a pure function for an object, as long as the object exists.
 *
 * Limits: the object must not change. Objects of a cache (kube/cache) never change: a change in the cluster gives a new
 * object.
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
