/**
 * Reads and writes the rollout state in the status.
 *
 * Owns: the mapping between a RolloutState and the status (`status.rollout` and the revisions), so that a new leader
 * continues where the previous one stopped. An unreadable state becomes New; the entry Service then decides which
 * revision counts as serving (rollout/rest-rules.ts, adoptWhatServes).
 * Pure.
 */
import { toApiTime } from '../../api/conditions.ts';
import type { OnnxModelStatus } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import type { DecisionReason } from '../../api/reasons.ts';
import { cut } from '../../api/text.ts';
import { skips } from '../rollout/provenance.ts';
import type { Decision, PauseReason, Phase, RolloutState } from '../rollout/state.ts';

/** The maximum length of a stored message in characters. The schema allows more. */
const messageLimit = 2000;

export type RolloutStatus = NonNullable<OnnxModelStatus['rollout']>;

export function readState(status: OnnxModelStatus | undefined): RolloutState {
  const { rollout, stable, candidate } = status ?? {};
  if (rollout?.phase === undefined || !Object.hasOwn(readers, rollout.phase)) return { phase: 'New' };
  return (
    readers[rollout.phase as Phase](rollout, stable?.revision ?? null, candidate?.revision ?? null) ?? { phase: 'New' }
  );
}

type Reader = (rollout: RolloutStatus, stable: string | null, candidate: string | null) => RolloutState | undefined;

/**
 * For each phase, the function that reads its state. The function returns undefined if the status does not contain the
 * revisions or the step that the phase needs. The operator never writes such a status.
 */
const readers: { readonly [P in Phase]: Reader } = {
  New: () => ({ phase: 'New' }),
  Preparing: (rollout, stable, candidate) =>
    candidate === null ? undefined : { phase: 'Preparing', stable, candidate, ...courseOf(rollout) },
  Shifting: (rollout, stable, candidate) => {
    const place = placeOf(rollout, stable, candidate);
    return place === undefined ? undefined : { phase: 'Shifting', ...place, set: rollout.setWeight ?? 0 };
  },
  Analyzing: (rollout, stable, candidate) => {
    const place = placeOf(rollout, stable, candidate);
    return place === undefined ? undefined : { phase: 'Analyzing', ...place, window: rollout.window ?? 0 };
  },
  Paused: (rollout, stable, candidate) => {
    const place = placeOf(rollout, stable, candidate);
    const why = pauseReasons.find((reason) => reason === rollout.pausedReason);
    return place === undefined || why === undefined
      ? undefined
      : { phase: 'Paused', ...place, window: rollout.window ?? 0, why };
  },
  Promoting: (rollout, stable) =>
    stable === null
      ? undefined
      : { phase: 'Promoting', stable, retiring: rollout.retiring ?? null, ...takingOf(rollout) },
  Settling: (rollout, stable) =>
    stable === null || rollout.retiring === undefined
      ? undefined
      : { phase: 'Settling', stable, retiring: rollout.retiring, ...takingOf(rollout) },
  Stable: (_rollout, stable) => (stable === null ? undefined : { phase: 'Stable', stable }),
  Aborting: (rollout, stable, candidate) =>
    stable === null || candidate === null
      ? undefined
      : { phase: 'Aborting', stable, rejected: candidate, ...endingOf(rollout), ...handledOf(rollout) },
  Failed: (rollout, stable, candidate) =>
    candidate === null
      ? undefined
      : { phase: 'Failed', stable, rejected: candidate, ...endingOf(rollout), ...handledOf(rollout) },
};

const pauseReasons: readonly PauseReason[] = ['Step', 'Undecided', 'ReportsStale', 'StableUnhealthy', 'WeightConflict'];

function courseOf({ attempt = 1, floor = 0, since, heldAt, stableLostAt }: RolloutStatus) {
  return {
    attempt,
    floor,
    since: msOf(since),
    ...present({
      heldAt: heldAt === undefined ? undefined : msOf(heldAt),
      stableLostAt: stableLostAt === undefined ? undefined : msOf(stableLostAt),
    }),
  };
}

function takingOf({ since, lostAt }: RolloutStatus) {
  return { since: msOf(since), ...(lostAt === undefined ? {} : { lostAt: msOf(lostAt) }) };
}

function placeOf(rollout: RolloutStatus, stable: string | null, candidate: string | null) {
  const { step, desiredWeight: weight, lostAt } = rollout;
  const skipped = skips.find((skip) => skip === rollout.skipped);
  if (stable === null || candidate === null || step === undefined || weight === undefined) return undefined;
  return {
    stable,
    candidate,
    ...courseOf(rollout),
    step,
    weight,
    ...present({ skipped, shown: rollout.shown }),
    ...(lostAt === undefined ? {} : { lostAt: msOf(lostAt) }),
  };
}

function endingOf({ reason, message, attempt = 1, since }: RolloutStatus) {
  return {
    // Keep an unknown reason, which another version of the operator wrote, so that a failed revision stays failed.
    cause: (reason ?? 'ProgressDeadlineExceeded') as DecisionReason,
    detail: message ?? '',
    attempt,
    since: msOf(since),
  };
}

function handledOf({ handledRetryToken }: RolloutStatus) {
  return present({ handledRetryToken });
}

function msOf(text: string | undefined): number {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? 0 : ms;
}

/** Maps a decision to `status.rollout`, except the gates' fields, which operator/gates/gate-status.ts adds. */
export function writeState({ next, reason, message, spent = {} }: Decision): RolloutStatus {
  const ended = 'cause' in next ? next : undefined;
  return {
    phase: next.phase,
    ...times(next),
    ...kept(next),
    ...present({ handledPromoteRevision: spent.promoteRevision, handledResumeStep: spent.resumeStep }),
    ...placeStatus(next),
    reason: ended?.cause ?? reason,
    message: cut(ended?.detail ?? message, messageLimit),
  };
}

function kept(next: RolloutState): Partial<RolloutStatus> {
  return present({
    retiring: 'retiring' in next && next.retiring !== null ? next.retiring : undefined,
    attempt: 'attempt' in next ? next.attempt : undefined,
    floor: 'floor' in next ? next.floor : undefined,
    handledRetryToken: 'handledRetryToken' in next ? next.handledRetryToken : undefined,
    skipped: 'skipped' in next ? next.skipped : undefined,
    shown: 'shown' in next ? next.shown : undefined,
  });
}

function placeStatus(next: RolloutState): Partial<RolloutStatus> {
  if (!('step' in next)) return {};
  return {
    step: next.step,
    desiredWeight: next.weight,
    ...('set' in next ? { setWeight: next.set } : {}),
    ...('window' in next ? { window: next.window } : {}),
    ...('why' in next ? { pausedReason: next.why } : {}),
  };
}

function times(next: RolloutState): Partial<RolloutStatus> {
  return {
    ...('since' in next ? { since: toApiTime(next.since) } : {}),
    ...('heldAt' in next ? { heldAt: toApiTime(next.heldAt) } : {}),
    ...('lostAt' in next ? { lostAt: toApiTime(next.lostAt) } : {}),
    ...('stableLostAt' in next ? { stableLostAt: toApiTime(next.stableLostAt) } : {}),
  };
}
