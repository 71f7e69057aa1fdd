/**
 * Finds where a convex function reaches a bound, with far fewer evaluations than bisection.
 *
 * Owns: the rule that the result equals that of plain bisection in every bit. A bracket around the crossing is found
 * first. It answers most questions of the bisection, and only points inside the bracket are evaluated.
 * Why: the gates' bounds are computed again and again for every model in a rollout.
 * Pure.
 */

export type Crossing = {
  /** A convex function that grows from `near`, where it is below the bound, to `far`, where it has reached the bound. */
  readonly of: (x: number) => number;
  readonly bound: number;
  readonly near: number;
  readonly far: number;
  /** The value at `near`. */
  readonly least: number;
  /** A point where the crossing is expected. */
  readonly guess: number;
  readonly halvings: number;
  /** More than the rounding errors of `of`. Values that are closer to the bound decide nothing. */
  readonly doubt: number;
};

/** @returns the last point of the bisection at which the bound is reached */
export function crossingOf(asked: Crossing): number {
  const { of, bound, near, far, halvings } = asked;
  const { below, above } = bracketOf(asked);
  const [surelyBelow, surelyAbove] = [Math.abs(below - near), Math.abs(above - near)];
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

type Point = { readonly x: number; readonly height: number };

/**
 * Two points around the crossing, about as close to it as the bisection gets.
 *
 * The square root of the height above `least` is nearly a straight line, so linear interpolation soon finds the
 * crossing. The probes are moved by the last change to either side in turn, so that both points come close.
 */
function bracketOf({ of, bound, near, far, least, guess, halvings, doubt }: Crossing): {
  readonly below: number;
  readonly above: number;
} {
  const heightOf = (value: number): number => Math.sqrt(Math.max(0, value - least));
  const goal = heightOf(bound);
  const finest = Math.abs(far - near) / 2 ** halvings;
  let low: Point = { x: near, height: 0 };
  let high: Point | undefined;
  let [expected, change, smallest] = [guess, 0, finest];
  for (let i = 0; i < mostProbes && Math.abs((high?.x ?? far) - low.x) > 2 * finest; i++) {
    const moved = expected + (i % 2 === 0 ? change : -change);
    const x = isBetween(low.x, moved, high?.x ?? far) ? moved : (low.x + (high?.x ?? far)) / 2;
    const value = of(x);
    if (value >= bound + doubt) high = { x, height: heightOf(value) };
    else if (value < bound - doubt) low = { x, height: heightOf(value) };
    else smallest *= 4;
    const next = interpolated(low, high, { near, goal }) ?? expected;
    change = Math.max(smallest, Math.abs(next - expected));
    expected = next;
  }
  return { below: low.x, above: high?.x ?? far };
}

/** Where the line through both points, or through `near` and the lower one, reaches the goal. */
function interpolated(
  low: Point,
  high: Point | undefined,
  { near, goal }: { readonly near: number; readonly goal: number },
): number | undefined {
  if (high !== undefined) return low.x + ((high.x - low.x) * (goal - low.height)) / (high.height - low.height);
  return low.height > 0 ? near + ((low.x - near) * goal) / low.height : undefined;
}

function isBetween(one: number, x: number, other: number): boolean {
  return (one < x && x < other) || (other < x && x < one);
}
