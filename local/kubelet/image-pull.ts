/**
 * The states of a pod whose image cannot be pulled: ErrImagePull, then ImagePullBackOff, alternating.
 * Owns: these states and the doubling wait between attempts. Pure.
 */
import { doubledMs } from '../../lib/retry.ts';
import type { BackoffLimits } from './backoff.ts';
import type { ContainerPhase } from './container-record.ts';

export type PullStep = {
  readonly reason: 'ErrImagePull' | 'ImagePullBackOff';
  readonly message: string;
  readonly waitMs: number;
  /** True when a pull was tried; false while waiting for the next one. */
  readonly attempted: boolean;
};

/** The failed attempt is shown for a tenth of the first wait, at most a second: long enough to be noticed. */
function shownMs(limits: BackoffLimits): number {
  return Math.min(1000, limits.baseMs / 10);
}

/** @param attempts how many pulls have failed before */
export function nextPullStep(
  phase: ContainerPhase,
  image: string,
  problem: string,
  { attempts, limits }: { readonly attempts: number; readonly limits: BackoffLimits },
): PullStep {
  if (phase.kind !== 'blocked' || phase.reason !== 'ErrImagePull')
    return { reason: 'ErrImagePull', message: problem, waitMs: shownMs(limits), attempted: true };
  const waitMs = doubledMs(limits, attempts);
  return {
    reason: 'ImagePullBackOff',
    message: `Back-off pulling image "${image}": ErrImagePull: ${problem}`,
    waitMs,
    attempted: false,
  };
}
