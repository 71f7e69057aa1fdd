/**
 * What is known about a tensor during the walk through a graph: which axis, if any, holds the rows of requests.
 *
 * Owns:  the types, and the arithmetic of symbolic sizes. The walk does not know the number of a symbolic size.
 * Terms: rows are the items of a run, which may come from different requests.
 * Pure.
 */

/** A number times symbolic sizes: `12 · rows · sequence`. */
export type Size = { readonly factor: number; /** Sorted. */ readonly free: readonly string[] };

/** The symbolic size of the number of rows in a run. Dimensions in a file cannot have this name. */
export const rows = '\0rows';

export type Value =
  /**
   * A value that does not depend on the rows' content. It depends on the number of rows only if `countsRows` is true.
   */
  | {
      readonly kind: 'Plain';
      /** Absent if the rank is unknown. */ readonly dims?: readonly Size[];
      /** The numbers, row-major, if they are known and at most 64. */ readonly values?: readonly (Size | undefined)[];
      readonly countsRows: boolean;
    }
  /** The rows lie in order along `axis`, one piece for each row. A piece depends only on its own row. */
  | { readonly kind: 'Rows'; readonly axis: number; readonly dims: readonly Size[] }
  /** A row may depend on other rows, or it is unknown whether it does. */
  | { readonly kind: 'Mixed'; readonly because: string };

export type RowsValue = Extract<Value, { kind: 'Rows' }>;
export type PlainValue = Extract<Value, { kind: 'Plain' }>;

export const one: Size = { factor: 1, free: [] };

export function numberSize(factor: number): Size {
  return { factor, free: [] };
}

export function freeSize(name: string): Size {
  return { factor: 1, free: [name] };
}

export function times(a: Size, b: Size): Size {
  return { factor: a.factor * b.factor, free: [...a.free, ...b.free].sort() };
}

export function product(sizes: readonly Size[]): Size {
  return sizes.reduce(times, one);
}

/** @returns undefined when the quotient is unknown or not an integer */
export function over(a: Size, b: Size): Size | undefined {
  const free = [...a.free];
  for (const name of b.free) {
    const at = free.indexOf(name);
    if (at < 0) return undefined;
    free.splice(at, 1);
  }
  return b.factor !== 0 && a.factor % b.factor === 0 ? { factor: a.factor / b.factor, free } : undefined;
}

export function isSameSize(a: Size | undefined, b: Size | undefined): boolean {
  return a !== undefined && b !== undefined && a.factor === b.factor && a.free.join('\n') === b.free.join('\n');
}

export function isOne(size: Size | undefined): boolean {
  return isSameSize(size, one);
}

/** @returns undefined for a symbolic size */
export function numberOf(size: Size | undefined): number | undefined {
  return size === undefined || size.free.length > 0 ? undefined : size.factor;
}

export function hasRows(size: Size | undefined): boolean {
  return size?.free.includes(rows) === true;
}

/** True if the size is exactly the number of rows, not a multiple of it. */
export function isRowCount(size: Size | undefined): boolean {
  return isSameSize(size, freeSize(rows));
}

/** A plain tensor; one of its sizes or numbers may be the number of rows. */
export function plain(dims?: readonly Size[], values?: readonly (Size | undefined)[], countsRows = false): Value {
  const counts = countsRows || values?.some(hasRows) === true || dims?.some(hasRows) === true;
  return {
    kind: 'Plain',
    countsRows: counts,
    ...(dims === undefined ? {} : { dims }),
    ...(values === undefined || values.length > 64 ? {} : { values }),
  };
}

/**
 * A tensor whose content is the same everywhere along its axes. If one axis is the number of rows, all rows are equal.
 */
export function uniform(dims: readonly Size[]): Value {
  const axes = dims.flatMap((dim, axis) => (hasRows(dim) ? [axis] : []));
  const [axis] = axes;
  if (axis === undefined) return plain(dims);
  return axes.length === 1
    ? { kind: 'Rows', axis, dims }
    : { kind: 'Mixed', because: 'a tensor has the number of rows twice in its shape' };
}

export function mixed(because: string): Value {
  return { kind: 'Mixed', because };
}
