/**
 * Whether the candidate is still getting faster against stable: caches filling, code being compiled.
 *
 * Owns:  the rule that keeps a short warm-up from being taken for a regression. It holds a Fail back in a window's
 *        first minutes only: a candidate that stays slow stops getting faster, and is found then.
 * Why:   a decaying excess has a trend from block to block, a lasting one has none. What has none cannot be told
 *        from a regression: `warmup` or `--settle` is for that.
 * Pure:  a function of the window's blocks.
 */
import { tuning } from './constants.ts';
import { earlyGroups, type Compared } from './noise.ts';

/**
 * A falling line through the differences of ln(quantile), block by block: weighted least squares, its slope's
 * standard error from sampling or from the residuals, whichever is larger.
 *
 * @returns false after the first minutes, with fewer than three groups, and where the slope could be chance
 */
export function isGettingFaster(compared: Compared, p: number): boolean {
  if (compared.candidate.blocks.length > tuning.earlyBlocks) return false;
  const groups = earlyGroups(compared, p).map(({ difference, sampling, weight, end }) => ({ y: difference, x: end - weight / 2, w: weight / sampling }));
  if (groups.length < 3) return false;
  let [w, x, y] = [0, 0, 0];
  for (const group of groups) {
    w += group.w;
    x += group.w * group.x;
    y += group.w * group.y;
  }
  const [meanX, meanY] = [x / w, y / w];
  let [spread, product] = [0, 0];
  for (const group of groups) {
    spread += group.w * (group.x - meanX) ** 2;
    product += group.w * (group.x - meanX) * (group.y - meanY);
  }
  const slope = product / spread;
  let residual = 0;
  for (const group of groups) residual += group.w * (group.y - meanY - slope * (group.x - meanX)) ** 2;
  const scale = Math.max(1, residual / (groups.length - 2));
  return slope < -tuning.warmingDeviations * Math.sqrt(scale / spread);
}
