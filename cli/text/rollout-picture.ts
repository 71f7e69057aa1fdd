/**
 * The content of `status` and `watch` for a rollout: steps, traffic and gates.
 *
 * Owns: combining spec.rollout and status.rollout. The numbers are the ones that the operator last wrote into the
 * status. Pure.
 */
import { AppError } from '../../api/errors.ts';
import type { OnnxModel, OnnxModelStatus, RolloutOutcome } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { formatDurationMs } from '../../api/units.ts';
import { rolloutPlanOf, type Step } from '../../operator/rollout/plan.ts';
import { standingOf } from '../cluster/standing.ts';

export type GatePicture = NonNullable<NonNullable<OnnxModelStatus['rollout']>['gates']>[number];

export type StepPicture = { readonly text: string; readonly state: 'Done' | 'Current' | 'ToCome' };

export type RolloutPicture = {
  readonly phase: string;
  /** When the current phase began, as RFC 3339. */
  readonly since?: string;
  readonly attempt?: number;
  /** The current step, counted from 1. */
  readonly step?: number;
  /** The steps; empty when the status and the spec have different numbers of steps. */
  readonly steps: readonly StepPicture[];
  readonly stepCount?: number;
  /** The reason of the pause in the status, or Manual when spec.rollout.paused is the cause. */
  readonly paused?: string;
  /** The candidate's percentage of the traffic. `desired` is the target; `actual` is only set when it is known. */
  readonly weight?: { readonly desired: number; readonly actual?: number };
  readonly gates: readonly GatePicture[];
  /** The forecast for the current step, made when the step began. */
  readonly promise?: string;
  readonly judgedAt?: string;
  readonly alpha?: string;
};

/** @returns undefined when no rollout is in progress and the latest candidate was not given up */
export function rolloutPictureOf(model: OnnxModel): RolloutPicture | undefined {
  const { rollout } = model.status ?? {};
  const standing = standingOf(model);
  if (rollout === undefined || standing.stage === 'AtRest') return undefined;
  const { phase, since, attempt, step, gates = [], judgedAt, alpha, promise } = rollout;
  const steps = stepsOf(model, step, rollout.steps);
  return present({
    phase,
    since,
    attempt,
    step: step === undefined ? undefined : step + 1,
    steps,
    stepCount: rollout.steps ?? (steps.length === 0 ? undefined : steps.length),
    paused: pauseOf(model, rollout),
    weight: weightOf(rollout),
    gates,
    promise,
    judgedAt,
    alpha,
  });
}

type RolloutStatus = NonNullable<OnnxModelStatus['rollout']>;

function pauseOf({ spec }: OnnxModel, { heldAt, pausedReason }: RolloutStatus): string | undefined {
  return heldAt !== undefined || spec.rollout?.paused === true ? 'Manual' : pausedReason;
}

function weightOf({ desiredWeight, actualWeight }: RolloutStatus): RolloutPicture['weight'] {
  return desiredWeight === undefined ? undefined : present({ desired: desiredWeight, actual: actualWeight });
}

/**
 * The steps of the spec. Empty when the status has a different number of steps: a proven revision and a promotion by
 * request do not use the steps of the spec.
 */
function stepsOf({ spec }: OnnxModel, current: number | undefined, count: number | undefined): readonly StepPicture[] {
  const steps = plannedSteps(spec);
  if (current === undefined || (count !== undefined && count !== steps.length)) return [];
  return steps.map((step, i) => ({
    text: stepText(step),
    state: i < current ? 'Done' : i === current ? 'Current' : 'ToCome',
  }));
}

function plannedSteps(spec: OnnxModel['spec']): readonly Step[] {
  try {
    return rolloutPlanOf(spec, 0).steps;
  } catch (error) {
    if (error instanceof AppError) return [];
    throw error;
  }
}

function stepText(step: Step): string {
  switch (step.kind) {
    case 'weight':
      return `${step.weight}%`;
    case 'shadow':
      return `shadow ${step.require}`;
    case 'analyze':
      return `analyze ${step.require}`;
    case 'pause':
      return step.durationMs === undefined ? 'pause' : `pause ${formatDurationMs(step.durationMs)}`;
  }
}

/**
 * The gates that ended a rollout: the failed gates, or the undecided gates if the step's maximum duration passed. Empty
 * if the rollout ended for another reason.
 */
export function gatesBehind({ reason, gates = [] }: RolloutOutcome): readonly GatePicture[] {
  const failed = gates.filter(({ verdict }) => verdict === 'Fail');
  return failed.length > 0 || reason !== 'Undecided' ? failed : gates.filter(({ verdict }) => verdict === 'Undecided');
}
