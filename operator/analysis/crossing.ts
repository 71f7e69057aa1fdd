/**
 * Finds where a convex function reaches a bound, with far fewer evaluations than bisection.
 *
 * Owns: the rule that the result equals that of plain bisection in every bit. A bracket, two points around the
 * crossing, is found first. Most points of the bisection lie outside the bracket, on a known side of the crossing; only
 * the points inside the bracket are evaluated.
 * Why: the gates' bounds are computed again and again for every model in a rollout.
 * Pure.
 */

export type Crossing = {
  /** A convex function: below the bound at `near`, at or above the bound at `far`, and growing from `near` to `far`. */
  readonly of: (x: number) => number;
  readonly bound: number;
  readonly near: number;
  readonly far: number;
  /** The value of the function at `near`. */
  readonly least: number;
  /** A point where the crossing is expected. */
  readonly guess: number;
  readonly halvings: number;
  /**
   * An upper bound of the rounding errors of `of`. A value closer to `bound` than this does not show on which side of
   * the crossing its point is.
   */
  readonly doubt: number;
};

/** @returns the last point of the bisection at which the bound is reached */
export function crossingOf(asked: Crossing): number {
  const { of, bound, near, far, halvings } = asked;
  const { low, high } = bracketOf(asked);
  const [surelyBelow, surelyAbove] = [Math.abs(low - near), Math.abs(high - near)];
  let inside = near;
  let outside = far;
  for (let i = 0; i < halvings; i++) {
    const middle = (inside + outside) / 2;
    const distance = Math.abs(middle - near);
    if (distance >= surelyAbove || (distance > surelyBelow && of(middle) >= bound)) outside = middle;
    else inside = middle;
  }
  return outside;
}

const mostProbes = 12;

/**
 * Two points around the crossing, about as close to it as the bisection gets. The evaluated points lie alternately
 * above and below the expected crossing, by the last change of the expectation, so that both ends of the bracket move.
 */
function bracketOf(asked: Crossing): Bracket {
  const { of, near, far, guess, halvings } = asked;
  const bracket = new Bracket(asked);
  const finest = Math.abs(far - near) / 2 ** halvings;
  let expected = guess;
  let change = 0;
  let smallest = finest;
  for (let i = 0; i < mostProbes && bracket.width > 2 * finest; i++) {
    const x = bracket.inside(expected + (i % 2 === 0 ? change : -change));
    if (!bracket.note(x, of(x))) smallest *= 4;
    const next = bracket.expected(expected);
    change = Math.max(smallest, Math.abs(next - expected));
    expected = next;
  }
  return bracket;
}

/**
 * The two points around the crossing. The height of a point is the square root of how far its value is above `least`.
 * Heights lie nearly on a straight line, so linear interpolation soon finds the crossing.
 */
class Bracket {
  /** A point surely below the bound, and a point that has surely reached it. */
  low: number;
  high: number;
  #heightOfLow = 0;
  /** NaN while `high` is still the far end. */
  #heightOfHigh = NaN;
  readonly #asked: Crossing;
  readonly #goal: number;

  constructor(asked: Crossing) {
    this.#asked = asked;
    this.low = asked.near;
    this.high = asked.far;
    this.#goal = this.#heightOf(asked.bound);
  }

  get width(): number {
    return Math.abs(this.high - this.low);
  }

  /** The point itself when it is inside the bracket, otherwise the middle of the bracket. */
  inside(x: number): number {
    const { low, high } = this;
    return (low < x && x < high) || (high < x && x < low) ? x : (low + high) / 2;
  }

  /** @returns whether the value decides on which side of the crossing the point is */
  note(x: number, value: number): boolean {
    const { bound, doubt } = this.#asked;
    if (value >= bound + doubt) {
      this.high = x;
      this.#heightOfHigh = this.#heightOf(value);
    } else if (value < bound - doubt) {
      this.low = x;
      this.#heightOfLow = this.#heightOf(value);
    } else return false;
    return true;
  }

  /**
   * Where the line through `low` and `high` reaches the bound. While `high` is the far end, the line goes through
   * `near` and `low`.
   * @param otherwise the result while there is no such line
   */
  expected(otherwise: number): number {
    const { near } = this.#asked;
    const slope = (this.high - this.low) / (this.#heightOfHigh - this.#heightOfLow);
    if (!Number.isNaN(slope)) return this.low + slope * (this.#goal - this.#heightOfLow);
    return this.#heightOfLow > 0 ? near + ((this.low - near) * this.#goal) / this.#heightOfLow : otherwise;
  }

  #heightOf(value: number): number {
    return Math.sqrt(Math.max(0, value - this.#asked.least));
  }
}
