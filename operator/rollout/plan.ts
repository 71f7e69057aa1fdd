/**
 * Parses `spec.rollout` and `spec.replicas` into numbers.
 *
 * Terms: The weight is the candidate's share of the traffic in percent. Gates judge the candidate under traffic. A
 * revision is proven if it became stable with every check and gate passed.
 * Owns: the meaning of these fields: strategy, steps and the defaults of absent fields.
 * Pure. Throws: AppError FIELD_INVALID with the field's path, for an invalid value that the CRD cannot reject.
 */
import { rolloutDefaults } from '../../api/defaults.ts';
import { AppError } from '../../api/errors.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { defaultRouter, type RouterName } from '../../api/routers.ts';
import { parseDurationMs, parsePercent } from '../../api/units.ts';
import { lentAhead, type RolloutCapacity } from './replicas.ts';

export type Step =
  | { readonly kind: 'weight'; readonly weight: number }
  /**
   * NoFail: the step ends after a set time if no gate failed. Pass: it ends when every gate passes. After
   * maxDurationMs, spec.rollout.onUndecided decides what happens if a gate is undecided.
   */
  | { readonly kind: 'analyze'; readonly require: 'NoFail' | 'Pass'; readonly maxDurationMs: number }
  /**
   * A shadow step comes before any weight. The candidate answers copies of stable's requests; `share`, 0..1, is the
   * share of the requests that are copied.
   */
  | {
      readonly kind: 'shadow';
      readonly share: number;
      readonly require: 'NoFail' | 'Pass';
      readonly maxDurationMs: number;
    }
  /** Without durationMs, the pause lasts until a client resumes it. */
  | { readonly kind: 'pause'; readonly durationMs?: number };

export type Strategy = 'Canary' | 'BlueGreen' | 'Immediate';

/** The settings of the spec for a rollout, apart from the revision itself. */
export type RolloutPlan = {
  readonly replicas: number;
  readonly strategy: Strategy;
  /** The steps of the rollout. Empty if all the traffic moves at once. */
  readonly steps: readonly Step[];
  readonly capacity: RolloutCapacity;
  readonly onUndecided: 'Hold' | 'Promote' | 'Rollback';
  /** A candidate whose pods are not ready after this long is given up. */
  readonly readyWithinMs: number;
  /** Traffic gets this long to leave a replaced revision before the revision's pods are deleted. */
  readonly settleMs: number;
  /**
   * A replaced revision keeps its pods this long, for a fast rollback. A rejected revision keeps its pods this long,
   * for a retry with warm pods.
   */
  readonly retainMs: number;
  /** The router that shares the traffic. sharing.ts defines how shares depend on the router. */
  readonly router: RouterName;
  /** Whether spec.rollout.paused holds the rollout. */
  readonly paused: boolean;
  /** The revision whose rollout is aborted. */
  readonly abortRevision?: string;
  /** The revision that is promoted without further checks, steps and gates. */
  readonly promoteRevision?: string;
  /** The revision that serves instead of the revision of the current spec. */
  readonly pinRevision?: string;
  /** `<revision>/<step>`: the candidate, and the index of the step whose pause ends. */
  readonly resumeStep?: string;
  /** A rejected revision is retried when this token changes. */
  readonly retryToken?: string;
};

/** A step at which gates judge the candidate. */
export type JudgedStep = Extract<Step, { readonly maxDurationMs: number }>;

export function isJudged(step: Step | undefined): step is JudgedStep {
  return step?.kind === 'analyze' || step?.kind === 'shadow';
}

/** Three weight steps for a proven revision. Pods are scaled for each weight, and gates do not judge. */
export const provenSteps: readonly Step[] = [34, 67, 100].map((weight) => ({ kind: 'weight', weight }));

/**
 * @param settleMs the time that traffic gets to leave a pod
 * @throws AppError FIELD_INVALID
 */
export function rolloutPlanOf(
  spec: Pick<OnnxModel['spec'], 'replicas' | 'rollout' | 'traffic'>,
  settleMs: number,
): RolloutPlan {
  const { replicas = rolloutDefaults.replicas, traffic = {} } = spec;
  const rollout = { ...rolloutDefaults, ...spec.rollout };
  const capacity = capacityOf(rollout, replicas);
  return {
    replicas,
    strategy: rollout.strategy,
    steps: plannedSteps(rollout, capacity, replicas),
    capacity,
    onUndecided: rollout.onUndecided,
    readyWithinMs: milliseconds(rollout.progressDeadline, 'spec.rollout.progressDeadline'),
    settleMs,
    retainMs: milliseconds(
      rollout.capacity?.retainStable ?? rolloutDefaults.retainStable[rollout.strategy],
      'spec.rollout.capacity.retainStable',
    ),
    router: traffic.router ?? defaultRouter,
    paused: rollout.paused ?? false,
    ...intentsOf(rollout),
  };
}

type RolloutSpec = NonNullable<OnnxModel['spec']['rollout']>;

function intentsOf({
  abortRevision,
  promoteRevision,
  pinRevision,
  resumeStep,
  retryToken,
}: RolloutSpec): Partial<RolloutPlan> {
  return present({ abortRevision, promoteRevision, pinRevision, resumeStep, retryToken });
}

function capacityOf({ capacity = {} }: RolloutSpec, replicas: number): RolloutCapacity {
  const { mode = rolloutDefaults.capacityMode, maxSurge = rolloutDefaults.maxSurge } = capacity;
  const pods = typeof maxSurge === 'number' ? maxSurge : Math.ceil((replicas * Number(maxSurge.slice(0, -1))) / 100);
  // The surge is at least the pods for one percent of the traffic, because weights move by whole percents. This is at
  // least one pod, which a candidate needs.
  return { mode, surge: Math.max(lentAhead(replicas), pods) };
}

/**
 * The steps of a canary come from the spec. In a blue-green rollout, the candidate gets all the traffic at once; if the
 * gates have absolute limits, it is then judged by them. An immediate rollout moves all the traffic at once if there is
 * capacity for both revisions in full, otherwise in the steps of `provenSteps`.
 */
function plannedSteps(
  rollout: RolloutSpec & { readonly strategy: Strategy },
  capacity: RolloutCapacity,
  replicas: number,
): readonly Step[] {
  if (capacity.mode === 'Recreate') return [];
  if (rollout.strategy === 'Canary') return (rollout.steps ?? rolloutDefaults.steps).map(stepOf);
  if (rollout.strategy === 'BlueGreen')
    return hasLimits(rollout) ? [{ kind: 'weight', weight: 100 }, stepOf({ analyze: { require: 'NoFail' } }, 1)] : [];
  return capacity.mode === 'Surge' && capacity.surge >= replicas ? [] : provenSteps;
}

function hasLimits({ gates }: RolloutSpec): boolean {
  return gates?.errors?.max !== undefined || (gates?.latency ?? []).some((gate) => gate.max !== undefined);
}

function stepOf(step: NonNullable<RolloutSpec['steps']>[number], index: number): Step {
  const at = `spec.rollout.steps[${index}]`;
  if (step.weight !== undefined) return { kind: 'weight', weight: step.weight };
  if (step.analyze !== undefined) {
    const maxDurationMs = milliseconds(
      step.analyze.maxDuration ?? rolloutDefaults.maxDuration,
      `${at}.analyze.maxDuration`,
    );
    return { kind: 'analyze', require: step.analyze.require, maxDurationMs };
  }
  if (step.shadow !== undefined) {
    const { share = rolloutDefaults.shadowShare, require, maxDuration = rolloutDefaults.maxDuration } = step.shadow;
    return {
      kind: 'shadow',
      share: shareOf(share, `${at}.shadow.share`),
      require,
      maxDurationMs: milliseconds(maxDuration, `${at}.shadow.maxDuration`),
    };
  }
  return {
    kind: 'pause',
    ...(step.pause?.duration === undefined
      ? {}
      : { durationMs: milliseconds(step.pause.duration, `${at}.pause.duration`) }),
  };
}

/** "10%" → 0.1 */
function shareOf(text: string, field: string): number {
  const share = parsePercent(text);
  if (share === undefined || share <= 0 || share > 1)
    throw new AppError('FIELD_INVALID', {
      field,
      problem: `'${text}' is not a percentage above 0% and up to 100%, such as 10%`,
    });
  return share;
}

function milliseconds(text: string, field: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined)
    throw new AppError('FIELD_INVALID', { field, problem: `'${text}' is not a duration, such as 30m` });
  return ms;
}
