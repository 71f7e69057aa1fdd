/** For every phase of a rollout, an OnnxModel with the conditions that the operator writes in the phase. */
import { claimConditions } from '../../api/conditions.ts';
import type { OnnxModel, OnnxModelStatus } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import type { DecisionReason } from '../../api/reasons.ts';
import { claimsOf } from '../../operator/reconcile/conditions.ts';
import { writeState } from '../../operator/see/stored-state.ts';
import { rolloutPlanOf } from '../../operator/rollout/plan.ts';
import {
  candidateOf,
  stableOf,
  type Decision,
  type Phase,
  type RolloutState,
  type StateIn,
  type Trouble,
} from '../../operator/rollout/state.ts';
import { given } from './given.ts';

export const [stableRevision, candidateRevision] = ['aaaaaaaaaa', 'bbbbbbbbbb'] as const;

const since = Date.parse('2026-01-01T00:00:00Z');
const course = { stable: stableRevision, candidate: candidateRevision, attempt: 1, floor: 2, since };
const place = { ...course, step: 1, weight: 5 };
const ended = {
  stable: stableRevision,
  rejected: candidateRevision,
  cause: 'LatencyGateFailed',
  detail: 'too slow',
  attempt: 1,
  since,
} as const;

/** An example of a rollout state for each phase. */
export const states: { readonly [P in Phase]: StateIn<P> } = {
  New: { phase: 'New' },
  Preparing: { phase: 'Preparing', ...course },
  Shifting: { phase: 'Shifting', ...place, set: 0 },
  Analyzing: { phase: 'Analyzing', ...place, window: 7 },
  Paused: { phase: 'Paused', ...place, window: 7, why: 'Step' },
  Promoting: { phase: 'Promoting', stable: candidateRevision, retiring: stableRevision, since },
  Settling: { phase: 'Settling', stable: candidateRevision, retiring: stableRevision, since },
  Stable: { phase: 'Stable', stable: stableRevision },
  Aborting: { phase: 'Aborting', ...ended },
  Failed: { phase: 'Failed', ...ended },
};

export type Telling = {
  readonly reason?: DecisionReason;
  readonly rollout?: NonNullable<OnnxModel['spec']['rollout']>;
  readonly ready?: Readonly<Record<string, number>>;
  /** The revision of the spec; absent: the candidate of the state, or its stable revision if it has no candidate. */
  readonly target?: string;
  readonly failure?: Trouble;
};

const bothReady = { [stableRevision]: 2, [candidateRevision]: 2 };

/** The model after a pass (one run of the operator for the model) that decided on this state. */
export function told(next: RolloutState, telling: Telling = {}): OnnxModel {
  const { reason = 'Analyzing', rollout, ready = bothReady, failure } = telling;
  const model = given.model(present({ rollout }));
  const decision: Decision = {
    next,
    serve: stableOf(next),
    run: [],
    reason: 'cause' in next ? next.cause : reason,
    message: `${next.phase} it is`,
  };
  const pods = Object.fromEntries(
    Object.entries(ready).map(([revision, count]) => [
      revision,
      { ready: count, present: 2, deployed: true, resolved: true },
    ]),
  );
  const stable = stableOf(next);
  const traffic = stable === null ? {} : { traffic: { shares: { [stable]: 100 }, reverts: 0 } };
  const seen = { target: targetOf(next, telling), routed: stable, pods, ...traffic };
  const claims = claimsOf({
    decision,
    seen,
    plan: rolloutPlanOf(model.spec, 10_000),
    record: undefined,
    reports: [],
    ...present({ failure }),
  });
  return {
    ...model,
    status: {
      ...statusOf(model, decision),
      conditions: claimConditions([], claims, { now: since, generation: model.metadata.generation }),
    },
  };
}

function targetOf(next: RolloutState, { target }: Telling): string {
  return target ?? candidateOf(next) ?? stableOf(next) ?? candidateRevision;
}

function statusOf({ metadata }: OnnxModel, decision: Decision): OnnxModelStatus {
  const { next, message } = decision;
  const [stable, candidate] = [stableOf(next), candidateOf(next)];
  return {
    observedGeneration: metadata.generation,
    phase: next.phase,
    message,
    rollout: writeState(decision),
    ...(stable === null ? {} : { stable: { revision: stable } }),
    ...(candidate === null ? {} : { candidate: { revision: candidate } }),
  };
}
