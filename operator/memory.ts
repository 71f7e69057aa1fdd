/**
 * The rollout's state as the status remembers it.
 *
 * Owns:  writing a state into `status.rollout` (with the revisions beside it) and reading it back, so that a
 *        new leader goes on where the last one stopped. What cannot be read is New: the entry Service then
 *        says what serves (rollout/decide.ts, adoptWhatServes).
 * Pure.
 */
import { toApiTime } from '../api/conditions.ts';
import type { OnnxModelStatus } from '../api/onnxmodel.ts';
import { cut } from '../api/text.ts';
import type { Decision, Phase, Reason, RolloutState } from './rollout/state.ts';

/** The schema's bound, with room to spare. */
const messageLimit = 2000;

export type RolloutStatus = NonNullable<OnnxModelStatus['rollout']>;

export function readState(status: OnnxModelStatus | undefined): RolloutState {
  const { rollout, stable, candidate } = status ?? {};
  if (rollout?.phase === undefined || !(rollout.phase in readers)) return { phase: 'New' };
  return readers[rollout.phase as Phase](rollout, stable?.revision ?? null, candidate?.revision ?? null) ?? { phase: 'New' };
}

type Reader = (rollout: RolloutStatus, stable: string | null, candidate: string | null) => RolloutState | undefined;

/** A phase whose revisions are missing was not written by us: undefined. */
const readers: { readonly [P in Phase]: Reader } = {
  New: () => ({ phase: 'New' }),
  Preparing: (rollout, stable, candidate) => (candidate === null ? undefined : { phase: 'Preparing', stable, candidate, since: sinceOf(rollout) }),
  Promoting: (rollout, stable) => (stable === null ? undefined : { phase: 'Promoting', stable, retiring: rollout.retiring ?? null, since: sinceOf(rollout) }),
  Settling: (rollout, stable) =>
    stable === null || rollout.retiring === undefined ? undefined : { phase: 'Settling', stable, retiring: rollout.retiring, since: sinceOf(rollout) },
  Stable: (_rollout, stable) => (stable === null ? undefined : { phase: 'Stable', stable }),
  Failed: (rollout, stable, candidate) =>
    candidate === null
      ? undefined
      : { phase: 'Failed', stable, rejected: candidate, cause: (rollout.reason ?? 'ProgressDeadlineExceeded') as Reason, detail: rollout.message ?? '', since: sinceOf(rollout) },
};

function sinceOf(rollout: RolloutStatus): number {
  const ms = Date.parse(rollout.since ?? '');
  return Number.isNaN(ms) ? 0 : ms;
}

export function writeState({ next, reason, message }: Decision): RolloutStatus {
  return {
    phase: next.phase,
    ...('since' in next ? { since: toApiTime(next.since) } : {}),
    ...('retiring' in next && next.retiring !== null ? { retiring: next.retiring } : {}),
    reason: next.phase === 'Failed' ? next.cause : reason,
    message: cut(next.phase === 'Failed' ? next.detail : message, messageLimit),
  };
}
