/**
 * Compares a pod's result of the golden set (inputs that a candidate must answer well) with its limit, and describes
 * the result in a sentence.
 * Pure.
 */
import { goldenMetrics } from '../../api/golden-metrics.ts';
import type { GoldenResult } from '../../api/report.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';

/** Tolerance for rounding: scores are sums of float32 numbers. */
const slack = 1e-9;

/** A result without a score passes: no answers were compared, and every number in the answers was finite. */
export function isGood({ score }: Pick<GoldenResult, 'score'>, { min, max }: GoldenConfig): boolean {
  return score === null || ((min === undefined || score >= min - slack) && (max === undefined || score <= max + slack));
}

/** The result and its limit, e.g. `golden set: Cosine 0.71 in the worst of 32 cases, required: at least 0.99` */
export function goldenSentence(result: GoldenResult, config: GoldenConfig): string {
  const { n, score, compared = n } = result;
  if (score === null) return nothingCompared(result, config);
  const limit = config.min ?? config.max ?? 0;
  const over = isWorstCase(config) ? 'in the worst of' : 'over';
  const asked = config.min === undefined ? 'at most' : 'at least';
  const numbers =
    `${goldenName(config)}: ${config.metric} ${shownScore(score, limit)} ${over} ${compared} cases, required: ` +
    `${asked} ${limit}`;
  return isGood(result, config) ? numbers : `${numbers}${because(result)}${hint(config)}`;
}

function nothingCompared(result: GoldenResult, config: GoldenConfig): string {
  if (result.n === 0) return `${goldenName(config)}: ${result.problem ?? 'the set has no cases'}`;
  const name = goldenName(config);
  return `${name}: all numbers of ${result.n} cases are finite; answers were not compared${because(result)}`;
}

/** "golden set", or "generated inputs" for a model without a golden set. */
export function goldenName({ source }: GoldenConfig): string {
  return source.kind === 'Generated' ? 'generated inputs' : 'golden set';
}

function because({ problem }: GoldenResult): string {
  return problem === undefined ? '' : `; ${problem}`;
}

/** The worst result. A result without a score counts as better than every result with a score. */
export function worstOf(results: readonly GoldenResult[], { max }: GoldenConfig): GoldenResult | undefined {
  const badness = ({ score }: GoldenResult): number =>
    score === null ? -Number.MAX_VALUE : max === undefined ? -score : score;
  return results.reduce<GoldenResult | undefined>(
    (worst, result) => (worst === undefined || badness(result) > badness(worst) ? result : worst),
    undefined,
  );
}

function isWorstCase({ metric }: GoldenConfig): boolean {
  return goldenMetrics[metric].over === 'WorstCase';
}

/** Advice for generated inputs: with them, an intended change of the answers looks like a broken model. */
function hint({ source }: GoldenConfig): string {
  return source.kind === 'Generated'
    ? "; the inputs were generated and compared with stable's answers: if the new answers are intended, set " +
        'spec.rollout.gates.golden to a golden set of your own'
    : '';
}

/**
 * Formats a score with four significant digits. If the score differs from the limit but would look equal to it, six
 * digits are used, or all digits if six are not enough.
 */
function shownScore(score: number, limit: number): string {
  if (score >= Number.MAX_VALUE) return 'too large to compute';
  for (const digits of [4, 6]) {
    const text = String(Number(score.toPrecision(digits)));
    if (Number(text) !== limit || score === limit) return text;
  }
  return String(score);
}
