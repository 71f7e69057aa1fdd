/**
 * Predicts the time of a run from runs that were measured during warm-up.
 *
 * Owns:  the curve cost(rows, elements of one row). It is linear between measured sizes. Beyond the most rows it
 *        continues with its last slope; beyond the largest row it grows in proportion to the row.
 * Pure.
 */

/** One measured size. */
export type CostPoint = {
  /** Input elements of one row. */
  readonly elements: number;
  readonly rows: number;
  /** Milliseconds that a worker is occupied by a run, on an idle machine. */
  readonly ms: number;
};

export type RunCost = {
  /** Milliseconds of a run; 0 if no size was measured. */
  readonly msOf: (rows: number, elements: number) => number;
  /**
   * The most rows for which the curve is trusted at this size, at most `limit`. If the measurement ended because more
   * rows gained nothing, it is the most rows that were measured. If it ended for lack of time, it is `limit`.
   */
  readonly trustedRows: (elements: number, limit: number) => number;
  /** The measured points: the smallest row first, and of each row the fewest rows first. */
  readonly points: readonly CostPoint[];
};

export const unknownRunCost: RunCost = { msOf: () => 0, trustedRows: (_, limit) => limit, points: [] };

/** A doubling of the rows that raises the rate by less than this gains nothing. */
export const flatGain = 1.05;

/** The measured points of one size: at least those of one row and of two rows. */
type Curve = { readonly elements: number; readonly points: readonly CostPoint[] };

/**
 * @param measured in any order. A size without a run of several rows is left out: it does not show the gain of more
 *   rows
 */
export function runCost(measured: readonly CostPoint[]): RunCost {
  const curves = curvesOf(measured);
  const [first] = curves;
  const last = curves.at(-1);
  if (first === undefined || last === undefined) return unknownRunCost;
  const msOf = (rows: number, elements: number): number => {
    const above = curves.findIndex((curve) => curve.elements >= elements);
    if (above < 0) return along(last, rows) * (elements / last.elements);
    const upper = curves[above] ?? last;
    const lower = curves[above - 1];
    if (lower === undefined) return along(upper, rows);
    const part = (elements - lower.elements) / (upper.elements - lower.elements);
    return along(lower, rows) + (along(upper, rows) - along(lower, rows)) * part;
  };
  return {
    msOf,
    trustedRows: (elements, limit) => trusted(curves.find((curve) => curve.elements >= elements) ?? last, limit),
    points: curves.flatMap(({ points }) => points),
  };
}

function curvesOf(measured: readonly CostPoint[]): readonly Curve[] {
  const sizes = [...new Set(measured.map(({ elements }) => elements))].sort((a, b) => a - b);
  return sizes
    .map((elements) => ({ elements, points: rising(measured.filter((point) => point.elements === elements)) }))
    .filter(({ points }) => points.length > 1);
}

/** Sorts by rows, and raises each time to that of fewer rows: more rows can only seem faster because of noise. */
function rising(points: readonly CostPoint[]): readonly CostPoint[] {
  let ms = 0;
  return points
    .toSorted((a, b) => a.rows - b.rows)
    .map((point) => {
      ms = Math.max(ms, point.ms);
      return { ...point, ms };
    });
}

function along({ points }: Curve, rows: number): number {
  const above = points.findIndex((point) => point.rows >= rows);
  const upper = points[above < 0 ? points.length - 1 : above];
  const lower = points[above < 0 ? points.length - 2 : above - 1];
  if (upper === undefined) return 0;
  if (lower === undefined) return upper.ms * (rows / upper.rows);
  return lower.ms + ((upper.ms - lower.ms) * (rows - lower.rows)) / (upper.rows - lower.rows);
}

function trusted({ points }: Curve, limit: number): number {
  const [before, last] = points.slice(-2);
  if (before === undefined || last === undefined) return limit;
  const gain = rateOf(last) / rateOf(before);
  return gain < flatGain ? Math.min(limit, last.rows) : limit;
}

function rateOf({ rows, ms }: CostPoint): number {
  return rows / Math.max(ms, 1e-6);
}
