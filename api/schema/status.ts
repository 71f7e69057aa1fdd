/**
 * The status of an OnnxModel. Its values change rarely and in coarse steps. Numbers that change all the time, such as
 * request rates, are in metrics and the report instead.
 */
import { k } from './builder.ts';

const text = (max: number) => k.string({ max });
const count = () => k.integer({ min: 0, max: 100000 });

const failingPod = k.object({
  name: text(253).doc('The pod.'),
  reason: text(64).doc('The problem in one word, such as OOMKilled, ImagePullBackOff or DigestMismatch.'),
  lastWords: text(1024)
    .doc('The problem in a sentence, with the termination message of the container or the message of the cluster.')
    .optional(),
});

const revisionStatus = k.object({
  revision: text(10).doc(
    'Ten hex digits that name the revision. Its Deployment, Service and other objects are named ' +
      'after the model and these digits.',
  ),
  generation: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc('The metadata.generation of the OnnxModel that the revision was made from.')
    .optional(),
  digest: text(71)
    .doc(
      'SHA-256 of the file that its pods serve. If weights are in separate files: SHA-256 of a list of all these ' +
        'files. Absent until the first pod has fetched the model.',
    )
    .optional(),
  sourceDigest: text(71)
    .doc(
      'SHA-256 of the whole source, in the form of spec.model.digest; later pods refuse other files. Absent until ' +
        'the first pod has fetched the model.',
    )
    .optional(),
  provider: text(32)
    .doc('Execution provider that runs most of the model, as its pods report it. Absent until it is ' + 'known.')
    .optional(),
  precision: text(16)
    .doc(
      'Number format of the served weights: FP32, FP16, INT8 or INT4; Source when the model is served ' + 'as it is.',
    )
    .optional(),
  replicas: count().doc('How many pods it has, ready or not.').optional(),
  ready: count().doc('How many of its pods are ready.').optional(),
  memory: k
    .object({
      limit: text(24).doc('The spec.memory.limit of this revision. Absent: no limit.').optional(),
      estimate: text(24)
        .doc(
          'How much memory the first pod needed to load the model and run it once, such as 310Mi. Absent: not ' +
            'measured.',
        )
        .optional(),
      peak: text(24)
        .doc(
          'Highest memory use of one pod of this revision, rounded up to a multiple of 1/16 of the limit. Absent ' +
            'without a limit, or before a pod has reported.',
        )
        .optional(),
    })
    .doc('How much memory its runtime containers may use and do use, as Kubernetes quantities such as ' + '512Mi.')
    .optional(),
  pods: k
    .list(failingPod, { max: 5 })
    .doc('Up to five of its pods that have a problem. Absent: no pod has a problem.')
    .optional(),
  provenance: text(32)
    .doc(
      'How it became stable. After GatesPassed, First (the first revision) or Returned (it was proven before) it ' +
        'may become stable again later without being judged. After Forced, Pinned, ResumedUndecided, ' +
        'PromotedUndecided, StableLost, Asleep, Woken, StoodIn, Adopted or Unrecorded it is judged again.',
    )
    .optional(),
});

const condition = k.object({
  type: text(316).doc('Name of the condition, such as Ready.'),
  status: k.oneOf(['True', 'False', 'Unknown']).doc('Whether the condition holds. Unknown: it is not known yet.'),
  reason: text(1024).doc('Why the condition has this status, in one word for programs.'),
  message: text(32768).doc('Why the condition has this status, in a sentence for people.'),
  observedGeneration: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc('The metadata.generation that the condition was set for.')
    .optional(),
  lastTransitionTime: k.string({ max: 32, format: 'date-time' }).doc('When status changed last.'),
});

const number = () => k.string({ max: 24 });

const evidence = {
  candidateRequests: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc('Requests to the candidate that the gate has seen in this step; of gate quality, compared ' + 'answers.')
    .optional(),
  stableRequests: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc(
      'Requests to stable that the gate has seen in this step. Absent when the gate has a fixed limit and does not ' +
        'compare with stable.',
    )
    .optional(),
  estimate: number()
    .doc(
      'Most likely value now: "+21%" is an increase over stable; "48ms" and "0.7%" are values of the candidate. ' +
        'Absent: not known yet.',
    )
    .optional(),
  lower: number()
    .doc(
      'The smallest value that is still plausible (a confidence bound); the gate fails when lower is above limit. ' +
        'Absent: not known yet.',
    )
    .optional(),
  upper: number()
    .doc(
      'The largest value that is still plausible (a confidence bound); the gate passes when upper is at ' +
        'most limit (or toShow, if set). Absent: not known yet.',
    )
    .optional(),
  limit: number().doc('What the spec allows, in the unit of estimate.').optional(),
};

/** The latency of one revision. Every value is a text with its unit, such as "48ms". */
const ownLatency = () =>
  k.object({
    estimate: number().doc('Most likely value, such as "48ms".').optional(),
    lower: number().doc('Smallest value that is still plausible. Absent: not known yet.').optional(),
    upper: number().doc('Largest value that is still plausible. Absent: not known yet.').optional(),
  });

const pairs = () => k.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' });

const gate = k.object({
  name: text(40).doc(
    'The gate: its name in spec.rollout.gates.latency, or errors, errors-max or quality. Default ' +
      'gates are p95, p99 and errors.',
  ),
  verdict: k
    .oneOf(['Pass', 'Fail', 'Undecided'])
    .doc(
      'Pass: the candidate is within the limit. Fail: it is beyond the limit. Undecided: more ' + 'evidence is needed.',
    ),
  reason: text(64)
    .doc(
      'Why the verdict is Undecided. TooFewRequests; Uncertain: the limit lies between lower and ' +
        'upper; OneWindow: it depends on a few slow seconds; LoadUnequal: pods of the two revisions ' +
        'carry different load.',
    )
    .optional(),
  ...evidence,
  requestsStillNeeded: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc(
      'How many more requests to the candidate a verdict needs if estimate stays as it is. Absent: ' +
        'the verdict is decided, or cannot be reached with more requests.',
    )
    .optional(),
  stillNeeded: text(120)
    .doc('requestsStillNeeded as a range, with the time that it takes at the present rate of requests.')
    .optional(),
  toShow: number()
    .doc(
      'A Pass is allowed while upper is at most this value, because traffic is too low to show an upper bound ' +
        'within limit. "nothing": ' +
        'a Pass is allowed with any value of upper. Absent: a Pass requires upper at or below limit.',
    )
    .optional(),
  ofClass: text(120)
    .doc('The class of requests that decided the verdict of a gate with eachClass. Absent: all requests.')
    .optional(),
  worstClass: text(160)
    .doc(
      'The class of requests with the largest increase, and that increase, when classes differ by more than chance. ' +
        'It does not affect the verdict.',
    )
    .optional(),
  stableLatency: ownLatency()
    .doc("Latency of stable at the gate's quantile, in milliseconds. Only for latency gates.")
    .optional(),
  candidateLatency: ownLatency()
    .doc("Latency of the candidate at the gate's quantile, in milliseconds. Only for latency gates.")
    .optional(),
  paired: k
    .object({
      verdict: k.oneOf(['Pass', 'Fail', 'Undecided']).doc("What the pairs show about the gate's limit."),
      probes: pairs().doc('How many golden inputs both revisions answered. Absent: 0.').optional(),
      replays: pairs().doc("How many of stable's live requests the candidate answered, too. Absent: 0.").optional(),
      shadowed: pairs()
        .doc("How many of stable's live requests the candidate answered in a shadow step. Absent: 0.")
        .optional(),
      estimate: number()
        .doc(
          'How much longer the candidate typically takes for the same request, such as "+19%". Absent: ' +
            'too few pairs.',
        )
        .optional(),
      lower: number().doc('Smallest increase that is still plausible. Absent: not known yet.').optional(),
      upper: number().doc('Largest increase that is still plausible. Absent: not known yet.').optional(),
      message: text(200).doc('Verdict, number of pairs and increase in one sentence.').optional(),
    })
    .doc(
      'Comparison of the service times of both revisions for the same requests (pairs). Only for latency gates with ' +
        'maxIncrease. Pairs are not counted as requests.',
    )
    .optional(),
});

const rollout = k.object({
  phase: text(32).doc(
    'Where the rollout is: New, Preparing, Shifting, Analyzing, Paused, Promoting, Settling, ' +
      'Stable, Aborting or Failed. The operator continues from it after a restart.',
  ),
  since: k
    .string({ max: 32, format: 'date-time' })
    .doc('When the present phase or step began, plus the time that spec.rollout.paused held the rollout.')
    .optional(),
  retiring: text(10).doc('The revision that was stable before and still has its pods.').optional(),
  attempt: k
    .integer({ min: 1, max: 1000000 })
    .doc('Number of the attempt of the candidate: 1 at first, one more after each retry.')
    .optional(),
  step: k
    .integer({ min: 0, max: 1000 })
    .doc('Index of the present step, from 0. After the last step it is the number of steps.')
    .optional(),
  steps: k.integer({ min: 0, max: 1000 }).doc('How many steps the rollout of this candidate has.').optional(),
  desiredWeight: k
    .integer({ min: 0, max: 100 })
    .doc('Target share of the traffic for the candidate at the present step, in percent.')
    .optional(),
  setWeight: k
    .integer({ min: 0, max: 100 })
    .doc(
      'Weight that is set at present, in percent. It rises to desiredWeight as pods of the candidate become ready, ' +
        'and is never more than those pods can serve. Only in phase Shifting.',
    )
    .optional(),
  actualWeight: k
    .integer({ min: 0, max: 100 })
    .doc(
      'Share of the traffic that the candidate gets, in percent; with router Service, its share of the ready pods. ' +
        'Absent: not known.',
    )
    .optional(),
  pausedReason: text(32)
    .doc(
      'Why the rollout waits in phase Paused. Step: a pause step. Undecided: gates were undecided ' +
        'after maxDuration. ReportsStale: pods do not report. StableUnhealthy: stable is not healthy enough for a ' +
        'comparison. WeightConflict: another writer changes the weights of the route.',
    )
    .optional(),
  heldAt: k
    .string({ max: 32, format: 'date-time' })
    .doc('When spec.rollout.paused began to hold the rollout. Absent: the rollout is not held.')
    .optional(),
  lostAt: k
    .string({ max: 32, format: 'date-time' })
    .doc(
      'When the candidate, or the revision that was just promoted, lost its last ready pod. Absent: ' +
        'it has ready pods.',
    )
    .optional(),
  stableLostAt: k
    .string({ max: 32, format: 'date-time' })
    .doc('When stable lost its last ready pod. Absent: it has ready pods, and its traffic is back.')
    .optional(),
  skipped: text(32)
    .doc(
      'Why this attempt first continued without a verdict: ResumedUndecided, PromotedUndecided or StableLost. ' +
        'Absent: every verdict was awaited.',
    )
    .optional(),
  shown: text(512)
    .doc(
      'Upper bounds that the last judged step has shown for the candidate, compared with stable, such as ' +
        '"nothing worse than +38 % p95, +2.1 points errors shown".',
    )
    .optional(),
  promise: text(1024)
    .doc(
      'Forecast made when the analyze step began, from the requests of the half hour before: how long ' +
        'the step takes, what it can show, and how large a problem it would find.',
    )
    .optional(),
  window: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc('First block of 20 seconds that the gates judge: Unix time in seconds divided by 20, rounded ' + 'down.')
    .optional(),
  floor: count()
    .doc(
      'The value of spec.replicas when the rollout began. During the rollout an autoscaler may raise ' +
        'the number of pods, but not lower it below this.',
    )
    .optional(),
  alpha: number()
    .doc(
      'Probability of a wrong Fail that each gate may use in this step, such as "0.0125"; a range, ' +
        'such as "0.0025 to 0.015", when gates differ.',
    )
    .optional(),
  gates: k
    .listMap('name', gate, { max: 16 })
    .doc(
      'Verdicts of the gates under traffic, with their numbers. Updated with every new verdict, ' +
        'otherwise every half minute, and every five minutes during a pause.',
    )
    .optional(),
  judgedAt: k.string({ max: 32, format: 'date-time' }).doc('When the numbers in gates were computed.').optional(),
  handledRetryToken: text(63)
    .doc('The spec.rollout.retryToken at the time the candidate was given up; another value starts a ' + 'retry.')
    .optional(),
  handledPromoteRevision: text(10)
    .doc(
      'Value of spec.rollout.promoteRevision that the operator has carried out, or that can no longer be carried ' +
        'out. The operator ignores this value until the field is removed or changed.',
    )
    .optional(),
  handledResumeStep: text(24)
    .doc(
      'Value of spec.rollout.resumeStep that the operator has carried out, or that can no longer be carried out. ' +
        'The operator ignores this value until the field is removed or changed.',
    )
    .optional(),
  reason: text(64)
    .doc("The latest decision's reason in one word; in phases Aborting and Failed, why the candidate was given up.")
    .optional(),
  message: text(2048).doc('The reason in a sentence, with its numbers.').optional(),
});

const outcome = k.object({
  revision: text(10).doc('The candidate of the rollout: ten hex digits.'),
  outcome: k
    .oneOf(['Promoted', 'RolledBack', 'Failed', 'Superseded'])
    .doc(
      'How the rollout ended. Promoted: the revision became stable. RolledBack: it had traffic, which went back to ' +
        'stable. Failed: it was given up before it had traffic. Superseded: the spec changed before the rollout ' +
        'ended.',
    ),
  reason: text(64).doc('Why the rollout ended, in one word.'),
  provenance: text(32).doc('How it became stable, as in status.stable.provenance. Only for Promoted.').optional(),
  message: text(1024)
    .doc('The reason in a sentence. For Promoted: the evidence of the gates, or the checks that were skipped.')
    .optional(),
  at: k.string({ max: 32, format: 'date-time' }).doc('When the rollout ended.'),
  weight: k
    .integer({ min: 0, max: 100 })
    .doc(
      'Share of the traffic that the revision had when the rollout ended, in percent. Absent: the rollout did not ' +
        'reach a step.',
    )
    .optional(),
  gates: k
    .listMap('name', gate, { max: 16 })
    .doc('Last verdicts of the gates. Absent: the rollout did not reach a step.')
    .optional(),
});

export const statusSchema = k
  .object({
    observedGeneration: k
      .integer({ min: -1, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
      .doc('The metadata.generation that this status is about; -1 before the operator has seen the model.'),
    phase: text(32)
      .doc(
        'Where the rollout is, as in status.rollout.phase; Paused also while spec.rollout.paused holds ' +
          'it. For people: programs should read conditions.',
      )
      .optional(),
    message: text(2048).doc('What the operator does or waits for, in a sentence.').optional(),
    address: k
      .object({ url: text(512).doc('Base URL for requests, such as http://name.namespace.svc:8080.') })
      .doc('Where clients reach the model. Absent: not known yet.')
      .optional(),
    replicas: count().doc('How many pods the model has, of all revisions, ready or not.').optional(),
    readyReplicas: count().doc('How many of these pods are ready.').optional(),
    ready: text(16)
      .doc('How many pods are ready and how many are wanted, of all revisions together, such as "2/3".')
      .optional(),
    selector: text(512).doc('Label selector of all pods, for autoscalers and kubectl.').optional(),
    stable: revisionStatus.doc('The revision that serves. Absent: no revision has become stable yet.').optional(),
    candidate: revisionStatus
      .doc('The revision that is meant to replace stable, or that was given up. Absent: no rollout.')
      .optional(),
    rollout: rollout
      .doc('Where the rollout is, and what the operator needs to continue it after a restart.')
      .optional(),
    history: k.list(outcome, { max: 10 }).doc('How the last ten rollouts ended, latest first.').optional(),
    conditions: k
      .listMap('type', condition, { max: 16 })
      .doc(
        'Ready, Available, ArtifactReady, ModelLoaded, ProvidersActive and RouteReady; and, only while ' +
          'they are True, Reconciling, Stalled, Paused and ChildrenModified.',
      )
      .optional(),
  })
  .serverDefault({ observedGeneration: -1 });
