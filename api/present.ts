/** Removes undefined fields, because exactOptionalPropertyTypes does not allow undefined in an optional field. Pure. */

export type Present<T> = {
  readonly [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
} & {
  readonly [K in keyof T as undefined extends T[K] ? never : K]: T[K];
};

/** A copy of the object without its undefined fields. */
export function present<T extends object>(fields: T): Present<T> {
  // A loop, because the operator does this thousands of times a second.
  const kept: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) {
    const value = fields[name as keyof T];
    if (value !== undefined) kept[name] = value;
  }
  return kept as Present<T>;
}
