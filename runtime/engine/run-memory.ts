/**
 * Predicts the memory of a run from runs that were measured during warm-up.
 *
 * Owns:  the estimate, an upper bound. The size of a run consists of its number of rows and the number of input
 *        elements of one row. Estimates are linear between measured sizes. Beyond the largest measured size, the part
 *        of the memory that grew between measured sizes is assumed to grow with the square of the size, like attention
 *        over a text. The memory of common models does not grow faster.
 * Pure.
 */

/** One measured size. */
export type RunPoint = {
  /** Input elements of one row. */
  readonly elements: number;
  /** Memory of a run with one row. */
  readonly oneBytes: number;
  /** Memory per row in a run of several rows; equal to `oneBytes` if only one row was run. */
  readonly rowBytes: number;
};

export type RunMemory = {
  /** Bytes of a run; 0 if measuring was not possible. */
  readonly bytesOf: (rows: number, elements: number) => number;
  /** The measured points, smallest first, for display. */
  readonly points: readonly RunPoint[];
  /** How memory grows with the number of rows, if it grows faster than them; absent otherwise. */
  readonly growth?: RowGrowth;
};

/**
 * Factor by which estimates are raised. Two runs of equal size may differ in memory, because buffers are sometimes
 * reused, and garbage of other work is sometimes counted.
 */
const margin = 1.25;

/** When memory grows by fewer bytes than this between two sizes, garbage of other work may hide the growth. */
export const noiseBytes = 8 * 2 ** 20;

export const unknownRunMemory: RunMemory = { bytesOf: () => 0, points: [] };

/**
 * How memory grows with the number of rows of a run that cannot be split, measured at the largest number of rows that
 * ran.
 */
export type RowGrowth = {
  /** Memory grows in proportion to the number of rows raised to this power. */
  readonly power: number;
  /** The largest number of rows that ran. */
  readonly rows: number;
  /** Input elements of one row in the run with `rows` rows. */
  readonly elements: number;
  /** Memory of the run with `rows` rows. */
  readonly bytes: number;
};

/**
 * @param measured in any order
 * @param growth present if memory grows faster than the number of rows; absent for independent rows
 */
export function runMemory(measured: readonly RunPoint[], growth?: RowGrowth): RunMemory {
  const points = rising(measured);
  if (points.length === 0) return unknownRunMemory;
  const bytesOf = (rows: number, elements: number): number => {
    const one = along(points, elements, 'oneBytes');
    const several = along(points, elements, 'rowBytes') * rows;
    return Math.ceil(Math.max(one, several, grown(growth, rows, elements)) * margin);
  };
  return { bytesOf, points, ...(growth === undefined ? {} : { growth }) };
}

function grown(growth: RowGrowth | undefined, rows: number, elements: number): number {
  if (growth === undefined) return 0;
  return growth.bytes * (rows / growth.rows) ** growth.power * (elements / Math.max(1, growth.elements));
}

/**
 * Sorts the points, and raises the memory of each to at least that of the point before it: a larger size can only seem
 * cheaper because of noise.
 */
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

/** A value measured at one size, in bytes or milliseconds. */
export type Sighting = { readonly size: number; readonly value: number };

/**
 * An upper bound of a quantity at a size larger than all measured sizes. The quantity must grow at most with the square
 * of the size.
 *
 * A part of the quantity may be constant, such as weights that each run unpacks. As a function of size ** 2,
 * a + b * size + c * size ** 2 is concave: beyond two measured points it never lies above the line through them.
 * Example: a run takes 45 MiB for 4 tokens and 46 MiB for 8. The measured growth of 1 MiB is less than a `noise` of
 * 8 MiB, so growth of 8 MiB is assumed. Then 16 tokens take at most 46 + 8 * (256 - 64) / (64 - 16) = 78 MiB, and not
 * 46 * 4 = 184 MiB.
 *
 * @param sightings sorted by size, the smallest first; the values do not decrease. With a single sighting, no part is
 * assumed to be constant
 * @param noise growth that the measurement may have missed
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
