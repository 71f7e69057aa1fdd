/**
 * What only the operator, or the cluster behind it, would find in an OnnxModel that the API server takes.
 *
 * Owns:  the list of checks. Gates, steps, durations are read by the very code that reads them in the operator.
 * Pure:  a spec that passed the schema → findings.
 */
import { AppError } from '../../api/errors.ts';
import { rolloutDefaults } from '../../api/defaults.ts';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import { sourceNameOf, sourceRowOf } from '../../api/sources.ts';
import { parseDurationMs } from '../../api/units.ts';
import { labelValueProblem, qualifiedNameProblem } from '../../kube/schema/metadata.ts';
import { canPassByPairs } from '../../operator/analysis/paired.ts';
import { planOf } from '../../operator/analysis/plan.ts';
import { rolloutPlanOf } from '../../operator/rollout/plan.ts';

export type OperatorFinding = {
  /** A warning is what works and is likely not meant. */
  readonly severity: 'error' | 'warning';
  /** Such as `spec.rollout.steps[0].weight`; '' for the whole. */
  readonly path: string;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
};

type Check = (spec: OnnxModelSpec) => readonly OperatorFinding[];

const error = (path: string, message: string, hint?: string): OperatorFinding => ({
  severity: 'error',
  path,
  message,
  ...(hint === undefined ? {} : { hint }),
});
const warning = (path: string, message: string, hint?: string): OperatorFinding => ({
  ...error(path, message, hint),
  severity: 'warning',
});

const checks: readonly Check[] = [
  readByTheOperator,
  podLabels,
  deadlines,
  stepsThatMeanSomething,
  intentsInFiles,
  localFiles,
];

/** @param object with a spec that passed the schema */
export function operatorFindings(object: Readonly<Record<string, unknown>>): readonly OperatorFinding[] {
  return checks.flatMap((check) => check(object['spec'] as OnnxModelSpec));
}

function readByTheOperator(spec: OnnxModelSpec): readonly OperatorFinding[] {
  return [() => planOf(spec.rollout?.gates, spec.rollout?.steps), () => rolloutPlanOf(spec, 0)].flatMap((read) => {
    try {
      read();
      return [];
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== 'FIELD_INVALID') throw thrown;
      const { field, problem } = thrown.params as { readonly field: string; readonly problem: string };
      return [error(field, problem)];
    }
  });
}

function podLabels({ template = {} }: OnnxModelSpec): readonly OperatorFinding[] {
  const maps = [
    { path: 'spec.template.metadata.labels', entries: template.metadata?.labels ?? {} },
    { path: 'spec.template.spec.nodeSelector', entries: template.spec?.nodeSelector ?? {} },
  ];
  const ofMaps = maps.flatMap(({ path, entries }) =>
    Object.entries(entries).flatMap(([key, value]) =>
      [qualifiedNameProblem(key), labelValueProblem(value)]
        .filter((problem) => problem !== undefined)
        .map((problem) => error(`${path}.${key}`, `no pod could be made: ${problem}`)),
    ),
  );
  const annotations = Object.keys(template.metadata?.annotations ?? {}).flatMap((key) => {
    const problem = qualifiedNameProblem(key.toLowerCase());
    return problem === undefined
      ? []
      : [error(`spec.template.metadata.annotations.${key}`, `no pod could be made: ${problem}`)];
  });
  return [...ofMaps, ...annotations];
}

function deadlines({ rollout, warmup }: OnnxModelSpec): readonly OperatorFinding[] {
  const deadline = rollout?.progressDeadline ?? rolloutDefaults.progressDeadline;
  const timeout = warmup?.timeout;
  if (timeout === undefined || (parseDurationMs(timeout) ?? 0) < (parseDurationMs(deadline) ?? Infinity)) return [];
  return [
    warning(
      'spec.warmup.timeout',
      `${timeout} is no less than spec.rollout.progressDeadline, ${deadline}: a revision that warms up so long is ` +
        'given up before it is warm',
      'raise the deadline, or lower the timeout',
    ),
  ];
}

type RolloutSpec = NonNullable<OnnxModelSpec['rollout']>;

function isJudgedUnderTraffic({ gates }: RolloutSpec): boolean {
  return (gates?.latency ?? gates?.errors ?? gates?.quality) !== undefined;
}

function stepsThatMeanSomething({ rollout = {} }: OnnxModelSpec): readonly OperatorFinding[] {
  return [...allGatesOff(rollout), ...oddSteps(rollout)];
}

function allGatesOff({
  strategy = rolloutDefaults.strategy,
  steps = rolloutDefaults.steps,
  gates = {},
}: RolloutSpec): readonly OperatorFinding[] {
  const isAsked = strategy !== 'Immediate' && steps.some((step) => 'analyze' in step && step.analyze !== undefined);
  // What is left out has its defaults; what is there and empty is off.
  const { latency, errors, quality } = gates;
  const isOff = isEmpty(latency) && isEmpty(errors) && quality === undefined;
  return isAsked && isOff
    ? [
        warning(
          'spec.rollout.gates',
          'every gate is turned off: a revision is promoted by the number of its requests alone',
          'leave latency or errors out to have the defaults',
        ),
      ]
    : [];
}

function isEmpty(part: object | undefined): boolean {
  return part !== undefined && Object.keys(part).length === 0;
}

function oddSteps(rollout: RolloutSpec): readonly OperatorFinding[] {
  const { steps, strategy = rolloutDefaults.strategy } = rollout;
  const at = 'spec.rollout.steps';
  if (steps === undefined)
    return strategy === 'Immediate' && isJudgedUnderTraffic(rollout)
      ? [
          warning(
            'spec.rollout.gates',
            'with strategy Immediate, the default, nothing is judged under traffic',
            'strategy: Canary',
          ),
        ]
      : [];
  if (rollout.capacity?.mode === 'Recreate')
    return [warning(at, 'with capacity.mode Recreate the old pods go first: there are no steps')];
  const unasked = isJudgedUnderTraffic(rollout) && !steps.some((step) => (step.analyze ?? step.shadow) !== undefined);
  return [
    ...(unasked ? [warning(at, 'no step is an analyze or a shadow step: the gates are never asked')] : []),
    ...steps.flatMap((step, i) => tooShort(step, `${at}[${i}]`)),
    ...shadowWithoutGates(rollout, at),
    ...steps.flatMap((step, i) => oddStep(step, steps.slice(0, i), `${at}[${i}]`)),
  ];
}

/** Blocks of 20 s: the first whole one, three that are known, and the one that is being counted. */
const shortestStepMs = 100_000;

function tooShort({ analyze, shadow }: StepSpec, at: string): readonly OperatorFinding[] {
  const { maxDuration } = analyze ?? shadow ?? {};
  if (maxDuration === undefined || (parseDurationMs(maxDuration) ?? 0) >= shortestStepMs) return [];
  return [
    warning(
      `${at}.${analyze === undefined ? 'shadow' : 'analyze'}.maxDuration`,
      `no step is decided before a minute was counted: after ${maxDuration} it is undecided, however good the ` +
        'candidate is',
      'give it 2m or more',
    ),
  ];
}

function shadowWithoutGates({ steps = [], gates = {} }: RolloutSpec, at: string): readonly OperatorFinding[] {
  const proven = steps.findIndex(({ shadow }) => shadow?.require === 'Pass');
  const deaf = gates.latency?.find(
    ({ quantile, eachClass, maxIncrease }) =>
      maxIncrease !== undefined && !canPassByPairs({ quantile: Number(quantile), eachClass: eachClass ?? false }),
  );
  if (proven >= 0 && deaf !== undefined)
    return [
      warning(
        `${at}[${proven}].shadow`,
        `${deaf.name} cannot pass it: pairs of service times tell nothing of classes, nor of quantiles above p95`,
        'require: NoFail',
      ),
    ];
  const first = steps.findIndex(({ shadow }) => shadow !== undefined);
  const isJudged =
    gates.quality !== undefined ||
    gates.latency === undefined ||
    gates.latency.some(({ maxIncrease }) => maxIncrease !== undefined);
  return first < 0 || isJudged
    ? []
    : [
        warning(
          `${at}[${first}].shadow`,
          'no gate can judge it: in the shadow there are pairs of service times, and answers to compare',
          'add a latency gate with maxIncrease, or quality',
        ),
      ];
}

type StepSpec = NonNullable<RolloutSpec['steps']>[number];

function oddStep({ analyze, pause }: StepSpec, before: readonly StepSpec[], at: string): readonly OperatorFinding[] {
  if (analyze !== undefined && !before.some((step) => (step.weight ?? 0) > 0))
    return [warning(at, 'the candidate has no traffic yet to be judged by', 'put a weight step before it')];
  return pause !== undefined && pause.duration === undefined
    ? [warning(`${at}.pause`, 'it has no duration: the rollout waits for "kubectl-onnx resume"')]
    : [];
}

const intents = ['abortRevision', 'promoteRevision', 'pinRevision', 'resumeStep', 'retryToken'] as const;

function intentsInFiles({ rollout = {} }: OnnxModelSpec): readonly OperatorFinding[] {
  return intents
    .filter((name) => rollout[name] !== undefined)
    .map((name) =>
      warning(
        `spec.rollout.${name}`,
        `is said for one moment, and would be said again with every apply`,
        'leave it out of files: kubectl-onnx writes it',
      ),
    );
}

function localFiles({ model }: OnnxModelSpec): readonly OperatorFinding[] {
  const name = sourceNameOf(model.uri);
  return name !== undefined && sourceRowOf(name).localOnly === true
    ? [warning('spec.model.uri', `${name}:// is served in local mode alone`)]
    : [];
}
