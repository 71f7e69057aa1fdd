/**
 * What is known of a tensor while a graph is looked at: which of its axes are the rows of requests.
 *
 * Owns:  the types and the arithmetic of sizes that are not known yet.
 * Pure.
 */

/** A number times free sizes: `12 · rows · sequence`. */
export type Size = { readonly factor: number; /** Sorted. */ readonly free: readonly string[] };

/** The free size that stands for the number of rows in a run. No dimension of a file has this name. */
export const rows = '\0rows';

export type Value =
  /** The same whatever the rows hold, and however many they are unless `countsRows`. */
  | {
      readonly is: 'Plain';
      /** Absent: the rank is not known. */ readonly dims?: readonly Size[];
      /** Its numbers, when they are few and known; row-major. */ readonly values?: readonly (Size | undefined)[];
      readonly countsRows: boolean;
    }
  /** Along `axis` lie the rows, each in a piece of its own and in order; a piece depends on its row alone. */
  | { readonly is: 'Rows'; readonly axis: number; readonly dims: readonly Size[] }
  /** A row may depend on others, or nobody knows. */
  | { readonly is: 'Mixed'; readonly because: string };

export type RowsValue = Extract<Value, { is: 'Rows' }>;
export type PlainValue = Extract<Value, { is: 'Plain' }>;

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

/** @returns undefined when it cannot be told, or leaves a rest */
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

/** @returns undefined for a size that is not known yet */
export function numberOf(size: Size | undefined): number | undefined {
  return size === undefined || size.free.length > 0 ? undefined : size.factor;
}

export function hasRows(size: Size | undefined): boolean {
  return size?.free.includes(rows) === true;
}

/** The number of rows itself, not a multiple. */
export function isRowCount(size: Size | undefined): boolean {
  return isSameSize(size, freeSize(rows));
}

/** A plain tensor; one of its sizes or numbers may be the number of rows. */
export function plain(dims?: readonly Size[], values?: readonly (Size | undefined)[], countsRows = false): Value {
  const counts = countsRows || values?.some(hasRows) === true || dims?.some(hasRows) === true;
  return {
    is: 'Plain',
    countsRows: counts,
    ...(dims === undefined ? {} : { dims }),
    ...(values === undefined || values.length > 64 ? {} : { values }),
  };
}

/**
 * A tensor whose content is the same everywhere along its axes: of one with the number of rows every piece is alike.
 */
export function uniform(dims: readonly Size[]): Value {
  const axes = dims.flatMap((dim, axis) => (hasRows(dim) ? [axis] : []));
  const [axis] = axes;
  if (axis === undefined) return plain(dims);
  return axes.length === 1
    ? { is: 'Rows', axis, dims }
    : { is: 'Mixed', because: 'a tensor has the number of rows twice in its shape' };
}

export function mixed(because: string): Value {
  return { is: 'Mixed', because };
}
