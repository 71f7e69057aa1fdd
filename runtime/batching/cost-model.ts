/**
 * The cost of runs: the curve that was measured during warm-up, corrected by the runs of real requests.
 *
 * Owns:   the corrections. Each class of row sizes has a pace: how many times longer than the curve says its recent
 *         runs took. Each class of row counts has a correction relative to the pace. When the machine is busy, large
 *         batches and slow runs come at the same time; only the pace rises then, so that large batches do not look
 *         expensive.
 * Limits: at most 32 size classes with at most 11 row classes each. A single slow run changes a prediction little.
 */
import type { CostPoint, RunCost } from '../engine/run-cost.ts';
import { batchShape, type BatchShape } from './batch-shape.ts';

type SizeClass = {
  /** Smoothed ratio of the time of recent runs to the time by the curve. */
  pace: number;
  /** Smoothed ratio of the time of runs to the time by curve and pace, for each class of row counts. */
  readonly byRows: (number | undefined)[];
  shape: BatchShape | undefined;
  runsSinceShape: number;
};

/** Weight of the latest run in the pace, and in the correction of a row class. */
const paceWeight = 0.1;
const rowsWeight = 0.02;
/** In the corrections, a run counts as at most this many times the expected time, and as at least 1/4 of it. */
const mostSurprise = 4;
/** The correction of a row class is at most this factor, and at least 1/2. */
const mostCorrection = 2;
const runsPerShape = 32;
const sizeClasses = 32;
const rowClasses = 11;
/** Maximum rows of a run while no curve is known and the spec sets no limit. */
const unmeasuredRows = 8;

export class CostModel {
  #curve: RunCost;
  #mostRows: number;
  /** True while `mostRows` is a default. Until a curve was measured, runs then have at most `unmeasuredRows` rows. */
  readonly #isDefault: boolean;
  readonly #classes = new Map<number, SizeClass>();

  constructor({ curve, mostRows, isDefault }: { curve: RunCost; mostRows: number; isDefault: boolean }) {
    this.#curve = curve;
    this.#mostRows = mostRows;
    this.#isDefault = isDefault;
  }

  /** Uses a new curve, and forgets the corrections of the old one. */
  measured(curve: RunCost): void {
    this.#curve = curve;
    this.#classes.clear();
  }

  limitRows(mostRows: number): void {
    this.#mostRows = mostRows;
    this.#classes.clear();
  }

  /** Maximum number of rows of a run of any size. */
  get mostRows(): number {
    return this.#isKnown || !this.#isDefault ? this.#mostRows : Math.min(unmeasuredRows, this.#mostRows);
  }

  /** Predicted milliseconds of a run; 0 while nothing is known. @param elements of one row */
  msOf(rows: number, elements: number): number {
    const size = this.#classes.get(sizeClassOf(elements));
    const correction = size?.byRows[rowClassOf(rows)] ?? 1;
    return this.#curveMs(rows, elements) * correction * (size?.pace ?? Number(this.#isKnown));
  }

  /** @param elements of one row */
  shapeOf(elements: number): BatchShape {
    const size = this.#classOf(elements);
    if (size.shape === undefined || size.runsSinceShape >= runsPerShape) {
      size.shape = batchShape((rows) => this.#shapeMs(rows, elements), this.#trustedRows(elements));
      size.runsSinceShape = 0;
    }
    return size.shape;
  }

  /** Corrects the curve by a run of real requests. @param elements of one row */
  learn(rows: number, elements: number, ms: number): void {
    const size = this.#classOf(elements);
    const curveMs = Math.max(this.#curveMs(rows, elements), 1e-3);
    size.runsSinceShape += 1;
    if (size.pace === 0) size.pace = Math.max(ms / curveMs, 1e-9);
    const ratio = clamp(ms / (curveMs * size.pace), mostSurprise);
    size.pace *= 1 + paceWeight * (ratio - 1);
    const row = rowClassOf(rows);
    const known = size.byRows[row] ?? 1;
    size.byRows[row] = clamp(known + rowsWeight * (ratio - known), mostCorrection);
  }

  /** The measured curve with its corrections, for display. */
  get points(): readonly CostPoint[] {
    return this.#curve.points.map(({ rows, elements }) => ({ rows, elements, ms: this.msOf(rows, elements) }));
  }

  /** How requests of each measured size are joined, for display. */
  get shapes(): readonly ({ readonly elements: number } & BatchShape)[] {
    const sizes = [...new Set(this.#curve.points.map(({ elements }) => elements))];
    return sizes.map((elements) => ({ elements, ...this.shapeOf(elements) }));
  }

  #trustedRows(elements: number): number {
    return this.#curve.trustedRows(elements, this.mostRows);
  }

  /** Predicted milliseconds without the pace, by which row counts are compared; 0 without a curve. */
  #shapeMs(rows: number, elements: number): number {
    const correction = this.#classes.get(sizeClassOf(elements))?.byRows[rowClassOf(rows)] ?? 1;
    return this.#curve.msOf(rows, elements) * correction;
  }

  /** Without a curve, time is taken to be proportional to the rows. */
  #curveMs(rows: number, elements: number): number {
    return this.#isKnown ? this.#curve.msOf(rows, elements) : rows;
  }

  get #isKnown(): boolean {
    return this.#curve.points.length > 0;
  }

  #classOf(elements: number): SizeClass {
    const key = sizeClassOf(elements);
    const known = this.#classes.get(key);
    if (known !== undefined) return known;
    // The pace 0 means unknown: without a curve, the first run sets it.
    const made = { pace: this.#isKnown ? 1 : 0, byRows: [], shape: undefined, runsSinceShape: 0 };
    this.#classes.set(key, made);
    return made;
  }
}

/** A class holds the sizes up to a power of two. */
function sizeClassOf(elements: number): number {
  return Math.min(sizeClasses - 1, Math.ceil(Math.log2(Math.max(1, elements))));
}

function rowClassOf(rows: number): number {
  return Math.min(rowClasses - 1, Math.ceil(Math.log2(Math.max(1, rows))));
}

function clamp(ratio: number, most: number): number {
  return Math.min(most, Math.max(1 / most, ratio));
}
