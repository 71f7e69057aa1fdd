/**
 * Foretells how much memory a run takes, from runs that were measured while warming up.
 *
 * Owns:  the estimate, which errs upwards. The size of a run is its rows and the elements of one row, all inputs together.
 * Pure.
 * Read:  between measured sizes it is a straight line, beyond the largest it grows with the square: nothing common
 *        grows faster (attention over a text, or over the patches of a picture, does).
 */

/** One measured size. */
export type RunPoint = {
  /** Input elements of one row. */
  readonly elements: number;
  /** Memory of a run with one row. */
  readonly oneBytes: number;
  /** Memory for each row of a run with several; as `oneBytes` where only one row was run. */
  readonly rowBytes: number;
};

export type RunMemory = {
  /** Bytes of a run; 0 where nothing could be measured. */
  readonly bytesOf: (rows: number, elements: number) => number;
  /** What it was made of, smallest first, for people. */
  readonly points: readonly RunPoint[];
};

/** What one run takes differs from the next: buffers are reused or not, the garbage of others is there or not. */
const margin = 1.25;

export const unknownRunMemory: RunMemory = { bytesOf: () => 0, points: [] };

/** How memory grows in rows that may not run apart, seen at the largest number of rows that ran. */
export type RowGrowth = { readonly power: number; readonly rows: number; readonly elements: number; readonly bytes: number };

/**
 * @param measured any order
 * @param growth where memory grows faster than rows do; absent for rows that are independent
 */
export function runMemory(measured: readonly RunPoint[], growth?: RowGrowth): RunMemory {
  const points = rising(measured);
  if (points.length === 0) return unknownRunMemory;
  const bytesOf = (rows: number, elements: number): number => {
    const one = along(points, elements, 'oneBytes');
    const several = along(points, elements, 'rowBytes') * rows;
    return Math.ceil(Math.max(one, several, grown(growth, rows, elements)) * margin);
  };
  return { bytesOf, points };
}

function grown(growth: RowGrowth | undefined, rows: number, elements: number): number {
  if (growth === undefined) return 0;
  return growth.bytes * (rows / growth.rows) ** growth.power * (elements / Math.max(1, growth.elements));
}

/** Sorted, and no larger size cheaper than a smaller one: that is noise. */
function rising(measured: readonly RunPoint[]): readonly RunPoint[] {
  let oneBytes = 0;
  let rowBytes = 0;
  return measured.toSorted((a, b) => a.elements - b.elements).map((point) => {
    oneBytes = Math.max(oneBytes, point.oneBytes);
    rowBytes = Math.max(rowBytes, point.rowBytes);
    return { elements: point.elements, oneBytes, rowBytes };
  });
}

function along(points: readonly RunPoint[], elements: number, key: 'oneBytes' | 'rowBytes'): number {
  const above = points.findIndex((point) => point.elements >= elements);
  const last = points.at(-1);
  if (last === undefined) return 0;
  if (above < 0) return last[key] * (elements / Math.max(1, last.elements)) ** 2;
  const upper = points[above] ?? last;
  const lower = points[above - 1];
  if (lower === undefined || upper.elements === lower.elements) return upper[key];
  return lower[key] + ((upper[key] - lower[key]) * (elements - lower.elements)) / (upper.elements - lower.elements);
}
