/** Numbers as the status writes them ("+4.1%", "48ms"), and a small scale on which they are drawn. Pure. */

/** The number in a text of the status. @returns undefined when the text is not a number with an optional unit */
export function numberIn(text: string | undefined): number | undefined {
  const [, number] = /^([+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)(?:%|ms)?$/.exec(text ?? '') ?? [];
  return number === undefined ? undefined : Number(number);
}

export type Interval = {
  readonly lower?: number | undefined;
  readonly estimate?: number | undefined;
  readonly upper?: number | undefined;
};
export type Domain = { readonly from: number; readonly to: number };

/** The range of the numbers, extended by 6 % on each side. Undefined when there are no two different numbers. */
export function domainOf(numbers: readonly (number | undefined)[]): Domain | undefined {
  const known = numbers.filter((number) => number !== undefined && Number.isFinite(number)) as number[];
  const [from, to] = [Math.min(...known), Math.max(...known)];
  if (!(to > from)) return undefined;
  const room = (to - from) * 0.06;
  return { from: from - room, to: to + room };
}

const line = { none: '·', between: '─', lower: '├', upper: '┤', estimate: '●', limit: '│', both: '◉' } as const;

/**
 * Draws bounds, estimate and limit: `·├────●───┤··│··`. When a bound is missing, the line extends to the end of the
 * scale.
 *
 * @param width columns, 8 or more
 */
export function drawScale(
  { lower, estimate, upper }: Interval,
  limit: number | undefined,
  domain: Domain,
  width: number,
): string {
  const at = (value: number): number =>
    Math.min(width - 1, Math.max(0, Math.round(((value - domain.from) / (domain.to - domain.from)) * (width - 1))));
  const cells = Array.from({ length: width }, (): string => line.none);
  if (estimate !== undefined)
    cells.fill(line.between, lower === undefined ? 0 : at(lower), upper === undefined ? width : at(upper) + 1);
  if (lower !== undefined) cells[at(lower)] = line.lower;
  if (upper !== undefined) cells[at(upper)] = line.upper;
  if (limit !== undefined) cells[at(limit)] = line.limit;
  if (estimate !== undefined)
    cells[at(estimate)] = limit !== undefined && at(limit) === at(estimate) ? line.both : line.estimate;
  return cells.join('');
}

/**
 * A bar for a share: `█████░░░`. A share above 0 fills at least one block; a share below 1 never fills the complete
 * bar.
 */
export function drawBar(share: number, width: number): string {
  const full = share <= 0 ? 0 : share >= 1 ? width : Math.min(width - 1, Math.max(1, Math.round(share * width)));
  return '█'.repeat(full) + '░'.repeat(width - full);
}
