/**
 * A golden result against its limit, and the sentence with the numbers.
 *
 * Pure.
 */
import { goldenMetrics } from '../../api/golden-metrics.ts';
import type { GoldenResult } from '../../api/report.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';

/** Scores are sums of float32 numbers. */
const slack = 1e-9;

/** Without a score nothing was compared, and every number was finite: that is all that can be asked. */
export function isGood({ score }: Pick<GoldenResult, 'score'>, { min, max }: GoldenConfig): boolean {
  return score === null || ((min === undefined || score >= min - slack) && (max === undefined || score <= max + slack));
}

/** e.g. `golden set: Cosine 0.71 in the worst of 32 cases, at least 0.99 is asked for` */
export function goldenSentence(result: GoldenResult, config: GoldenConfig): string {
  const { n, score, compared = n } = result;
  if (score === null) return nothingCompared(result, config);
  const limit = config.min ?? config.max ?? 0;
  const over = isWorstCase(config) ? 'in the worst of' : 'over';
  const asked = config.min === undefined ? 'at most' : 'at least';
  const numbers =
    `${goldenName(config)}: ${config.metric} ${shownScore(score, limit)} ${over} ${compared} cases, ${asked} ` +
    `${limit} is asked for`;
  return isGood(result, config) ? numbers : `${numbers}${because(result)}${hint(config)}`;
}

function nothingCompared(result: GoldenResult, config: GoldenConfig): string {
  if (result.n === 0) return `${goldenName(config)}: ${result.problem ?? 'there is nothing to ask'}`;
  return `${goldenName(config)}: all numbers of ${result.n} cases are finite, nothing was compared${because(result)}`;
}

/** What the questions are: the user's golden set, or inputs that were made up for a model without one. */
export function goldenName({ source }: GoldenConfig): string {
  return source.kind === 'Generated' ? 'generated inputs' : 'golden set';
}

function because({ problem }: GoldenResult): string {
  return problem === undefined ? '' : `; ${problem}`;
}

/** The result that is furthest on the wrong side. Nothing compared is nothing against it. */
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

/** A model that is meant to answer otherwise cannot be told from a broken one by made-up inputs. */
function hint({ source }: GoldenConfig): string {
  return source.kind === 'Generated'
    ? "; its inputs were made up and stable's answers taken for the truth: for a model that is meant to answer " +
        'otherwise give spec.rollout.gates.golden a set of your own'
    : '';
}

/** Few digits, but never so few that a score looks like the limit that it misses. */
function shownScore(score: number, limit: number): string {
  if (score >= Number.MAX_VALUE) return 'beyond all bounds';
  for (const digits of [4, 6]) {
    const text = String(Number(score.toPrecision(digits)));
    if (Number(text) !== limit || score === limit) return text;
  }
  return String(score);
}
