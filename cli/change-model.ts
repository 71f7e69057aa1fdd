/**
 * Changes one OnnxModel: read, decide, write, and all of it again when somebody else wrote in between.
 *
 * Owns:   that what was decided on is what is changed (the resourceVersion guards it), and that a decision which
 *         rests on the status rests on one of the spec as it is now.
 * Limits: `tries` conflicts, then the last one is thrown; `observedWithinMs` for the operator to see the newest spec.
 * Errors: as the cluster's; INTENT_REFUSED from `decide`.
 */
import { AppError } from '../api/errors.ts';
import type { OnnxModel } from '../api/onnxmodel.ts';
import type { Clock } from '../lib/clock.ts';
import { startDeadline } from '../lib/deadline.ts';
import { backoffMs } from '../lib/retry.ts';
import { isConflict, type Cluster, type Patch } from './cluster.ts';
import { followModel, getModel, pathOf, type ModelRef } from './models.ts';
import { cliManager } from './ownership.ts';
import { standingOf } from './standing.ts';

const tries = 6;
const backoff = { baseMs: 50, maxMs: 2_000 };
const answerWithinMs = 30_000;
const observedWithinMs = 5_000;

/** What is to be written. `undefined` from the decider: nothing. */
export type Change = { readonly type: Patch['type']; readonly body: unknown };

export type Changing = { readonly clock: Clock; readonly signal: AbortSignal; /** The decision needs a status of the newest spec. */ readonly needsStatus: boolean };

/** @param decide may throw, and is asked again after each conflict. @returns whether anything was written */
export async function changeModel(cluster: Cluster, ref: ModelRef, changing: Changing, decide: (model: OnnxModel) => Change | undefined): Promise<boolean> {
  const { clock, signal, needsStatus } = changing;
  for (let failures = 1; ; failures += 1) {
    const model = needsStatus ? await observedModel(cluster, ref, changing) : await getModel(cluster, ref, signal);
    const change = decide(model);
    if (change === undefined) return false;
    try {
      await cluster.patch({ ...change, path: `${pathOf(ref)}/${ref.name}`, query: { fieldManager: cliManager, fieldValidation: 'Strict' }, signal, silentMs: answerWithinMs });
      return true;
    } catch (error) {
      if (!isConflict(error) || failures >= tries) throw error;
      await clock.sleep(backoffMs(backoff, failures, Math.random()), signal);
    }
  }
}

/** The model once the operator has seen its newest spec, or as it is when that takes too long. */
async function observedModel(cluster: Cluster, ref: ModelRef, { clock, signal }: Changing): Promise<OnnxModel> {
  const deadline = startDeadline(clock, observedWithinMs, signal);
  let last: OnnxModel | undefined;
  try {
    for await (const model of followModel(cluster, ref, { clock, signal: deadline.signal })) {
      last = model;
      if (standingOf(model).observed) break;
    }
  } finally {
    deadline.dispose();
  }
  signal.throwIfAborted();
  if (last === undefined) throw new AppError('KUBE_UNREACHABLE', { server: ref.name, why: `it said nothing for ${observedWithinMs} ms` });
  return last;
}
