/**
 * Errors and doubtful settings that the API server accepts, but that the operator or the cluster would report.
 *
 * Owns: the list of checks. The operator's own code reads gates, steps and durations. Pure: a spec that passed the
 * schema → findings.
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
  /** With `warning`, the setting works but is probably a mistake. */
  readonly severity: 'error' | 'warning';
  /** The path of the field, such as `spec.rollout.steps[0].weight`; '' for the complete object. */
  readonly path: string;
  readonly message: string;
  /** What the user should do. */
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

/** Runs all checks. @param object with a spec that passed the schema */
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
        .map((problem) => error(`${path}.${key}`, `the API server would refuse the pods: ${problem}`)),
    ),
  );
  const annotations = Object.keys(template.metadata?.annotations ?? {}).flatMap((key) => {
    const problem = qualifiedNameProblem(key.toLowerCase());
    return problem === undefined
      ? []
      : [error(`spec.template.metadata.annotations.${key}`, `the API server would refuse the pods: ${problem}`)];
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
      `${timeout} is not less than spec.rollout.progressDeadline (${deadline}): a revision whose warm-up takes that ` +
        'long is given up before it is ready',
      'raise progressDeadline or lower the timeout',
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
  // An absent latency or errors gate has its default, and an empty one is off. An absent quality gate is off.
  const { latency, errors, quality } = gates;
  const isOff = isEmpty(latency) && isEmpty(errors) && quality === undefined;
  return isAsked && isOff
    ? [
        warning(
          'spec.rollout.gates',
          'all gates are off: a revision is promoted as soon as it has served enough requests',
          'remove the empty latency or errors to get their defaults',
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
            'the gates have no effect: strategy Immediate, the default, does not judge the candidate under traffic',
            'set strategy: Canary',
          ),
        ]
      : [];
  if (rollout.capacity?.mode === 'Recreate')
    return [warning(at, 'the steps have no effect: capacity.mode Recreate removes the old pods first')];
  const unasked = isJudgedUnderTraffic(rollout) && !steps.some((step) => (step.analyze ?? step.shadow) !== undefined);
  return [
    ...(unasked ? [warning(at, 'the gates have no effect: the steps contain no analyze or shadow step')] : []),
    ...steps.flatMap((step, i) => tooShort(step, `${at}[${i}]`)),
    ...shadowWithoutGates(rollout, at),
    ...steps.flatMap((step, i) => oddStep(step, steps.slice(0, i), `${at}[${i}]`)),
  ];
}

/**
 * The shortest time in which a step can be decided: five blocks of 20 s. Less than one block passes until the first
 * complete block begins; three complete blocks and one block in progress follow.
 */
const shortestStepMs = 100_000;

function tooShort({ analyze, shadow }: StepSpec, at: string): readonly OperatorFinding[] {
  const { maxDuration } = analyze ?? shadow ?? {};
  if (maxDuration === undefined || (parseDurationMs(maxDuration) ?? 0) >= shortestStepMs) return [];
  return [
    warning(
      `${at}.${analyze === undefined ? 'shadow' : 'analyze'}.maxDuration`,
      `${maxDuration} is too short: a decision needs one minute of complete counts, so the step always ends ` +
        'undecided',
      'use 2m or more',
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
        `gate ${deaf.name} cannot pass in a shadow step: pairs of service times cannot judge size classes or ` +
          'quantiles above p95',
        'set require: NoFail',
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
          'no gate can judge the shadow step: it only compares service times and answers of both revisions',
          'add a latency gate with maxIncrease, or a quality gate',
        ),
      ];
}

type StepSpec = NonNullable<RolloutSpec['steps']>[number];

function oddStep({ analyze, pause }: StepSpec, before: readonly StepSpec[], at: string): readonly OperatorFinding[] {
  if (analyze !== undefined && !before.some((step) => (step.weight ?? 0) > 0))
    return [warning(at, 'the candidate has no traffic yet that could be judged', 'put a weight step before it')];
  return pause !== undefined && pause.duration === undefined
    ? [warning(`${at}.pause`, 'the pause has no duration: the rollout waits for "kubectl-onnx resume"')]
    : [];
}

const intents = ['abortRevision', 'promoteRevision', 'pinRevision', 'resumeStep', 'retryToken'] as const;

function intentsInFiles({ rollout = {} }: OnnxModelSpec): readonly OperatorFinding[] {
  return intents
    .filter((name) => rollout[name] !== undefined)
    .map((name) =>
      warning(
        `spec.rollout.${name}`,
        'the field requests a single action, and every apply of the file would request it again',
        'remove it from the file: kubectl-onnx writes it',
      ),
    );
}

function localFiles({ model }: OnnxModelSpec): readonly OperatorFinding[] {
  const name = sourceNameOf(model.uri);
  return name !== undefined && sourceRowOf(name).localOnly === true
    ? [warning('spec.model.uri', `${name}:// works only in local mode`)]
    : [];
}
