/**
 * Changes one OnnxModel: read, decide, write, and all of it again when somebody else wrote in between.
 *
 * Owns:   that what was decided on is what is changed (the resourceVersion guards it), and that a decision which
 *         rests on the status rests on one of the spec as it is now.
 * Limits: `tries` conflicts, then the last one is thrown; five seconds for the operator to see the newest spec, or as
 *         long as the caller gives it.
 * Errors: as the cluster's; INTENT_REFUSED from `decide`.
 */
import { AppError } from '../../api/errors.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Clock } from '../../lib/clock.ts';
import { startDeadline } from '../../lib/deadline.ts';
import { backoffMs } from '../../lib/retry.ts';
import { isConflict, type Cluster, type Patch } from './api-server.ts';
import { followModel, getModel, pathOf, type ModelRef } from './models.ts';
import { cliManager } from './ownership.ts';
import { standingOf, type RolloutStanding } from './standing.ts';

const tries = 6;
const backoff = { baseMs: 50, maxMs: 2_000 };
const answerWithinMs = 30_000;
/** How long a status is waited for that a decision can rest on. */
const settledWithinMs = 5_000;

/** What is to be written. `undefined` from the decider: nothing. */
export type ModelChange = { readonly type: Patch['type']; readonly body: unknown };

export type Changing = {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /**
   * What the decision rests on beside the spec. Absent: nothing. `withinMs` absent: five seconds; then it has to do as
   * it is.
   */
  readonly settled?: { readonly is: (standing: RolloutStanding) => boolean; readonly withinMs?: number } | undefined;
};

/** The status speaks of the spec as it is now. */
export const observed = { is: (standing: RolloutStanding): boolean => standing.observed };

/** @param decide may throw, and is asked again after each conflict. @returns whether anything was written */
export async function changeModel(
  cluster: Cluster,
  ref: ModelRef,
  changing: Changing,
  decide: (model: OnnxModel) => ModelChange | undefined,
): Promise<boolean> {
  const { clock, signal, settled } = changing;
  for (let failures = 1; ; failures += 1) {
    const model =
      settled === undefined
        ? await getModel(cluster, ref, signal)
        : await settledModel(cluster, ref, changing, settled);
    const change = decide(model);
    if (change === undefined) return false;
    try {
      await cluster.patch({
        ...change,
        path: `${pathOf(ref)}/${ref.name}`,
        query: { fieldManager: cliManager, fieldValidation: 'Strict' },
        signal,
        silentMs: answerWithinMs,
      });
      return true;
    } catch (error) {
      if (!isConflict(error) || failures >= tries) throw error;
      await clock.sleep(backoffMs(backoff, failures, Math.random()), signal);
    }
  }
}

/** The model once its status is such that it can be decided on, or as it is when that takes too long. */
async function settledModel(
  cluster: Cluster,
  ref: ModelRef,
  { clock, signal }: Changing,
  { is, withinMs = settledWithinMs }: NonNullable<Changing['settled']>,
): Promise<OnnxModel> {
  const deadline = startDeadline(clock, withinMs, signal);
  let last: OnnxModel | undefined;
  try {
    for await (const model of followModel(cluster, ref, { clock, signal: deadline.signal })) {
      last = model;
      if (is(standingOf(model))) break;
    }
  } finally {
    deadline.dispose();
  }
  signal.throwIfAborted();
  if (last === undefined)
    throw new AppError('KUBE_UNREACHABLE', { server: ref.name, why: `it said nothing for ${withinMs} ms` });
  return last;
}
