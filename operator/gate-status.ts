/**
 * The gates' part of the status: verdicts with their numbers as people write them.
 *
 * Owns:  `rollout.gates`, `alpha` and `judgedAt`, and the gates of a line of history. How often they are renewed is the
 *        gatekeeper's to say (operator/gates/gatekeeper.ts); until the next rollout begins the last ones stay to be read.
 * Pure.
 */
import { toApiTime } from '../api/conditions.ts';
import type { OnnxModelStatus } from '../api/onnxmodel.ts';
import { present } from '../api/present.ts';
import type { GateResult } from './analysis/verdict.ts';
import type { Shown } from './gates/gatekeeper.ts';
import { forecast, written } from './gates/sentences.ts';
import type { RolloutState } from './rollout/state.ts';

type RolloutStatus = NonNullable<OnnxModelStatus['rollout']>;
export type GateStatus = NonNullable<RolloutStatus['gates']>[number];
export type GatesShown = Pick<RolloutStatus, 'gates' | 'alpha' | 'judgedAt'>;

/** @param shown what the gates say now; absent: nothing new, the status before keeps its word while the rollout lasts */
export function gatesShown(next: RolloutState, shown: Shown | undefined, previous: RolloutStatus | undefined): GatesShown {
  if (next.phase === 'New' || next.phase === 'Preparing' || next.phase === 'Stable') return {};
  if (shown !== undefined) return { alpha: String(Number(shown.alpha.toPrecision(3))), gates: shown.results.map(gateStatus), judgedAt: toApiTime(shown.atMs) };
  return present({ alpha: previous?.alpha, gates: previous?.gates, judgedAt: previous?.judgedAt });
}

/** What a rollout that ends in this pass ended on. */
export function gatesOfOutcome(shown: Shown | undefined, previous: RolloutStatus | undefined): Pick<RolloutStatus, 'gates'> {
  if (shown !== undefined) return { gates: shown.results.map(gateStatus) };
  return present({ gates: previous?.gates });
}

export function gateStatus(result: GateResult): GateStatus {
  const { gate, verdict, reason, candidateRequests, stableRequests, estimate, lower, upper, limit, requestsStillNeeded } = result;
  const number = (value: number | null): string | undefined => (value === null ? undefined : written(result, value));
  return {
    name: gate,
    verdict,
    candidateRequests,
    ...present({ reason, stableRequests, estimate: number(estimate), lower: number(lower), upper: number(upper), requestsStillNeeded: requestsStillNeeded === null ? undefined : forecast(requestsStillNeeded) }),
    limit: written(result, limit),
  };
}
