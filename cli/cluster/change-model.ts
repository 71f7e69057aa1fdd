/**
 * Changes one OnnxModel: reads it, lets the caller's function `decide` choose a patch, and writes the patch. When
 * another client wrote in between, it starts again.
 *
 * Owns: the retries. A patch of `decide` must contain the resourceVersion of the model; otherwise it could overwrite a
 * change of another client.
 * Limits: after `tries` conflicts the last conflict is thrown. `settled.withinMs` limits the wait for the status.
 * Throws: the errors of the client; INTENT_REFUSED from `decide`.
 */
import { AppError } from '../../api/errors.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import type { Clock } from '../../lib/clock.ts';
import { startDeadline } from '../../lib/deadline.ts';
import { backoffMs, retryErrors } from '../../lib/retry.ts';
import type { JsonPatchOperation } from '../../kube/client/http-client.ts';
import { isConflict } from '../../kube/client/kube-error.ts';
import { onnxModels } from '../../kube/kinds.ts';
import type { Cluster } from './api-server.ts';
import { followModel, getModel, type ModelRef } from './models.ts';
import { cliManager } from './ownership.ts';
import { standingOf, type RolloutStanding } from './standing.ts';

const tries = 6;
const backoff = { baseMs: 50, maxMs: 2_000 };
/** Default of `settled.withinMs`. */
const settledWithinMs = 5_000;

/** A patch of the model. */
export type ModelChange =
  | { readonly kind: 'Merge'; readonly patch: Readonly<Record<string, unknown>> }
  | { readonly kind: 'Operations'; readonly patch: readonly JsonPatchOperation[] };

export type ChangeDeps = {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /**
   * `decide` is called when the status satisfies `is`, or after `withinMs` (default: 5 s) with the latest status. If
   * `settled` is absent, `decide` is called at once.
   */
  readonly settled?: { readonly is: (standing: RolloutStanding) => boolean; readonly withinMs?: number } | undefined;
};

/** The condition that the operator has observed the current generation of the spec. */
export const observed = { is: (standing: RolloutStanding): boolean => standing.observed };

/**
 * Reads the model, decides and writes.
 * @param decide returns undefined when the model needs no change. It may throw, and is called again after each conflict
 * @returns whether anything was written
 */
export async function changeModel(
  cluster: Cluster,
  ref: ModelRef,
  deps: ChangeDeps,
  decide: (model: OnnxModel) => ModelChange | undefined,
): Promise<boolean> {
  const { clock, signal, settled } = deps;
  const change = async (): Promise<boolean> => {
    const model =
      settled === undefined ? await getModel(cluster, ref, signal) : await settledModel(cluster, ref, deps, settled);
    const decided = decide(model);
    if (decided !== undefined) await patchModel(cluster, ref, decided, signal);
    return decided !== undefined;
  };
  return retryErrors(change, {
    clock,
    signal,
    pauseAfter: (error, attempt) =>
      isConflict(error) && attempt < tries ? backoffMs(backoff, attempt, Math.random()) : undefined,
  });
}

/**
 * Writes a patch. @throws AppError KUBE_STATUS of kind conflict when the patch contains a resourceVersion and the model
 * has a newer one
 */
export async function patchModel(
  { client }: Cluster,
  ref: ModelRef,
  change: ModelChange,
  signal?: AbortSignal,
): Promise<void> {
  const options = { ...present({ signal }), fieldManager: cliManager, strict: true };
  if (change.kind === 'Merge') await client.mergePatch(onnxModels, ref, change.patch, options);
  else await client.jsonPatch(onnxModels, ref, change.patch, options);
}

/** Waits until the status of the model satisfies `is`, for at most `withinMs`. @returns the latest model */
async function settledModel(
  cluster: Cluster,
  ref: ModelRef,
  { clock, signal }: ChangeDeps,
  { is, withinMs = settledWithinMs }: NonNullable<ChangeDeps['settled']>,
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
    throw new AppError('KUBE_UNREACHABLE', {
      server: "the kubeconfig's address",
      why: `no answer about OnnxModel ${ref.namespace}/${ref.name} within ${withinMs} ms`,
    });
  return last;
}
