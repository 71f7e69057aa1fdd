/**
 * A rollout under way as a person wants to see it: where in its steps it is, who gets how much traffic, what the gates
 * say.
 *
 * Owns:  reading spec.rollout and status.rollout together. The numbers are the status's own, as of its last write.
 * Pure.
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
  /** RFC 3339, of the present phase. */
  readonly since?: string;
  readonly attempt?: number;
  /** From 1. */
  readonly step?: number;
  /** Empty where the status does not fit the spec's steps. */
  readonly steps: readonly StepPicture[];
  readonly stepCount?: number;
  /** Why it waits, in the operator's word; Manual for spec.rollout.paused. */
  readonly paused?: string;
  /** Percent of the traffic: asked by the step, and really got. */
  readonly weight?: { readonly desired: number; readonly actual?: number };
  readonly gates: readonly GatePicture[];
  /** What was foreseen of the step when it began. */
  readonly promise?: string;
  readonly judgedAt?: string;
  readonly alpha?: string;
};

/** @returns undefined when no candidate is on its way, leaving or given up */
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

/** A revision that was promoted once, or is to be promoted by request, goes by steps that are not the spec's. */
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
 * What the end of a rollout rested on: the gates that failed it, or that stayed undecided for too long. A person's word
 * needs none.
 */
export function gatesBehind({ reason, gates = [] }: RolloutOutcome): readonly GatePicture[] {
  const failed = gates.filter(({ verdict }) => verdict === 'Fail');
  return failed.length > 0 || reason !== 'Undecided' ? failed : gates.filter(({ verdict }) => verdict === 'Undecided');
}
