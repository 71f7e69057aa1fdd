/**
 * Predicts at the start of a step what the step can show, from the sidecars' reports of the half hour before the step.
 *
 * Terms: A step of a rollout gives the candidate a share of the traffic and judges it; in a shadow step, the candidate
 * gets copies of requests only. A window is the blocks (of 20 seconds) by which a step is judged. The past of a step is
 * the traffic before it.
 * Owns: which blocks count as the past of a step, and the sentence for a past with too few requests.
 * Pure.
 */
import { blockSeconds } from '../../api/report.ts';
import { historyBlocks } from '../analysis/history.ts';
import { usualBlocks } from '../analysis/evidence.ts';
import { mergedCells } from '../analysis/merged-cells.ts';
import { emptyHistogram, addInto, reportScale } from '../analysis/log-histogram.ts';
import { promiseOf, type Past } from '../analysis/promise.ts';
import type { Cell } from '../analysis/series.ts';
import { historyOf, isLoadEqual, type Scene } from './evidence.ts';
import type { WindowAsked } from './reading.ts';
import { sharingOf } from '../rollout/sharing.ts';
import { promiseWords } from '../analysis/shown-words.ts';

const blocksAMinute = 60 / blockSeconds;

/**
 * @returns undefined in a shadow step, or with weight 0 or 100, because the step then does not compare live requests of
 * the two revisions
 */
export function foreseeStep(
  { plan, require, shadow }: Pick<WindowAsked, 'plan' | 'require' | 'shadow'>,
  scene: Scene,
): string | undefined {
  const share = sharingOf(scene).partOf(scene.weight, scene.ready);
  if (shadow === true || share <= 0 || share >= 1) return undefined;
  const past = pastOf(scene);
  const { nodes, ready: pods, maxBlocks = usualBlocks } = scene;
  const outlook = {
    plan,
    require,
    share,
    pods,
    loadIsEqual: isLoadEqual(scene),
    maxBlocks,
    ...(nodes === undefined ? {} : { nodes }),
  };
  const promise = past === undefined ? undefined : promiseOf(past, outlook);
  if (promise === undefined) return 'too few requests were counted before this step to predict its duration and result';
  return promiseWords(promise);
}

/**
 * The reported traffic of both revisions in the half hour before the window; undefined when stable did not report a
 * request.
 */
export function pastOf(scene: Scene): Past | undefined {
  const { ledger, stable, candidate, window } = scene;
  const first = Math.max(window - historyBlocks, ...heardFrom(scene));
  const span = { first, last: window - 1 };
  if (!(span.last >= first)) return undefined;
  const [own, other] = [mergedCells(ledger, candidate, span).pods, mergedCells(ledger, stable, span).pods];
  const requests = total(other, (cell) => cell.requests);
  if (requests === 0) return undefined;
  const latency = emptyHistogram(reportScale);
  for (const cell of other) addInto(latency, cell.latency);
  const minutes = (window - first) / blocksAMinute;
  return {
    requestsPerMinute: (requests + total(own, (cell) => cell.requests)) / minutes,
    failureRate: total(other, (cell) => cell.failures) / requests,
    latency,
    history: historyOf(scene),
  };
}

/** The first block that stable reported, as a list of one; the first block of the window if stable did not report. */
function heardFrom({ ledger, stable, window }: Scene): readonly number[] {
  const begins = Object.values(ledger).flatMap(({ revision, heard }) =>
    revision === stable && heard[0] !== undefined ? [heard[0][0]] : [],
  );
  return begins.length === 0 ? [window] : [Math.min(...begins)];
}

function total(cells: readonly Cell[], of: (cell: Cell) => number): number {
  return cells.reduce((sum, cell) => sum + of(cell), 0);
}
