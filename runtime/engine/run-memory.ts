/**
 * Foretells how much memory a run takes, from runs that were measured while warming up.
 *
 * Owns:  the estimate, which errs upwards. The size of a run is its rows and the elements of one row, all inputs
 *        together.
 * Pure.
 * Read:  between measured sizes it is a straight line. Beyond the largest, what grew between the measured sizes grows
 *        with the square: nothing common grows faster (attention over a text, or over the patches of a picture, does).
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

/** Less growth than this between two sizes may be hidden by the garbage of others. */
export const noiseBytes = 8 * 2 ** 20;

export const unknownRunMemory: RunMemory = { bytesOf: () => 0, points: [] };

/** How memory grows in rows that may not run apart, seen at the largest number of rows that ran. */
export type RowGrowth = {
  readonly power: number;
  readonly rows: number;
  readonly elements: number;
  readonly bytes: number;
};

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
  return measured
    .toSorted((a, b) => a.elements - b.elements)
    .map((point) => {
      oneBytes = Math.max(oneBytes, point.oneBytes);
      rowBytes = Math.max(rowBytes, point.rowBytes);
      return { elements: point.elements, oneBytes, rowBytes };
    });
}

function along(points: readonly RunPoint[], elements: number, key: 'oneBytes' | 'rowBytes'): number {
  const above = points.findIndex((point) => point.elements >= elements);
  const last = points.at(-1);
  if (last === undefined) return 0;
  if (above < 0)
    return foresee(
      points.map((point) => ({ size: point.elements, value: point[key] })),
      elements,
      noiseBytes,
    );
  const upper = points[above] ?? last;
  const lower = points[above - 1];
  if (lower === undefined || upper.elements === lower.elements) return upper[key];
  return lower[key] + ((upper[key] - lower[key]) * (elements - lower.elements)) / (upper.elements - lower.elements);
}

/** What was measured at one size: bytes or milliseconds. */
export type Sighting = { readonly size: number; readonly value: number };

/**
 * An upper bound for a size beyond the measured ones, for what grows with the square at most.
 *
 * A part of it may not grow at all: weights that each run unpacks. A quantity a + b * size + c * size ** 2 is, drawn
 * over the square of the size, never above the line through two of its points. Example: a run takes 45 MiB for 4 tokens
 * and 46 MiB for 8; growth of 8 MiB is assumed. Then 16 tokens take at most 46 + 8 * (256 - 64) / (64 - 16) = 78 MiB,
 * not 46 * 4.
 *
 * @param sightings smallest size first, values that do not fall; one alone may have no part that does not grow
 * @param noise growth that may not have been seen
 */
export function foresee(sightings: readonly Sighting[], size: number, noise: number): number {
  const first = sightings[0];
  const last = sightings.at(-1);
  if (first === undefined || last === undefined) return 0;
  const whole = last.value * (size / Math.max(1, last.size)) ** 2;
  if (size <= last.size || last.size <= first.size) return whole;
  const growth = Math.max(last.value - first.value, Math.min(last.value, noise));
  const times = (size ** 2 - last.size ** 2) / (last.size ** 2 - first.size ** 2);
  return Math.min(whole, last.value + growth * times);
}
