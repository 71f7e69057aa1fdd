/**
 * The status of an OnnxModel: what the operator says about it. It carries only values that change by steps;
 * live numbers are metrics and the report.
 */
import { k } from './schema-builder.ts';

const text = (max: number) => k.string({ max });
const count = () => k.integer({ min: 0, max: 100000 });

const failingPod = k.object({
  name: text(253),
  reason: text(64).doc('One word, e.g. OOMKilled, ImagePullBackOff, DigestMismatch.'),
  lastWords: text(1024).doc('What the container or the cluster said, in its own words.').optional(),
});

const revisionStatus = k.object({
  revision: text(10).doc('Ten hex digits; the suffix of its children.'),
  generation: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc('Generation of the spec it was made from.')
    .optional(),
  digest: text(71)
    .doc(
      'Of the file that its pods serve, or of a list of that file and its weights where they are files of their own.',
    )
    .optional(),
  sourceDigest: text(71)
    .doc('Of the whole source, as spec.model.digest would name it; later pods refuse anything else.')
    .optional(),
  provider: text(32).doc('Execution provider that is really used.').optional(),
  precision: text(16).optional(),
  replicas: count().optional(),
  ready: count().optional(),
  memory: k
    .object({
      limit: text(24).optional(),
      estimate: text(24).doc('What loading and one run needed.').optional(),
      peak: text(24).doc('Highest seen in any pod, rounded up to a sixteenth of the limit.').optional(),
    })
    .optional(),
  pods: k.list(failingPod, { max: 5 }).doc('Up to five pods that are in trouble.').optional(),
  provenance: text(32)
    .doc(
      'How it became stable. GatesPassed, First (no revision served before) and Returned (it was proven before) ' +
        'prove it: it may come back unjudged. Forced, Pinned, ResumedUndecided, PromotedUndecided, StableLost, ' +
        'Asleep, Woken, StoodIn, Adopted and Unrecorded do not.',
    )
    .optional(),
});

const condition = k.object({
  type: text(316),
  status: k.oneOf(['True', 'False', 'Unknown']),
  reason: text(1024),
  message: text(32768),
  observedGeneration: k.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' }).optional(),
  lastTransitionTime: k.string({ max: 32, format: 'date-time' }),
});

const number = () => k.string({ max: 24 });

const evidence = {
  candidateRequests: k.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' }).optional(),
  stableRequests: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc('Absent where nothing is compared with stable.')
    .optional(),
  estimate: number().doc('As people write it: "+21%", "48ms", "0.7%".').optional(),
  lower: number().doc('Lower confidence bound.').optional(),
  upper: number().doc('Upper confidence bound.').optional(),
  limit: number().doc('What the bounds are held against.').optional(),
};

/** In milliseconds, as people write them. */
const ownLatency = () =>
  k.object({ estimate: number().optional(), lower: number().optional(), upper: number().optional() });

const pairs = () => k.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' });

const gate = k.object({
  name: text(40),
  verdict: k.oneOf(['Pass', 'Fail', 'Undecided']),
  reason: text(64).doc('Why it is undecided.').optional(),
  ...evidence,
  requestsStillNeeded: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc('Candidate requests that a verdict needs at the present estimate; absent when no number would do.')
    .optional(),
  stillNeeded: text(120).doc('The same as a range, with the time at the present rate.').optional(),
  toShow: number()
    .doc(
      'What a Pass has to show by now, where the traffic is too low to show the limit; nothing: this gate can ' +
        'fail, and its Pass shows nothing.',
    )
    .optional(),
  ofClass: text(120).doc('Of a gate by class, where the verdict is that of one class of requests.').optional(),
  worstClass: text(160)
    .doc('The class of requests that fares worst, where classes differ by more than chance: an estimate.')
    .optional(),
  stableLatency: ownLatency().doc("Of a latency gate: stable's own quantile with its bounds.").optional(),
  candidateLatency: ownLatency().doc("Of a latency gate: the candidate's own quantile with its bounds.").optional(),
  paired: k
    .object({
      verdict: k.oneOf(['Pass', 'Fail', 'Undecided']),
      probes: pairs().doc('Golden inputs asked of both.').optional(),
      replays: pairs().doc("Stable's live requests that the candidate answered too.").optional(),
      shadowed: pairs().doc('The same in a shadow step.').optional(),
      estimate: number().doc('How much longer the candidate typically takes for the same request.').optional(),
      lower: number().optional(),
      upper: number().optional(),
      message: text(200).doc('The same in words.').optional(),
    })
    .doc(
      'Of a latency gate against stable: what pairs of service times say. They are no live traffic, and in none ' +
        'of the counts above.',
    )
    .optional(),
});

const rollout = k.object({
  phase: text(32).doc('Where the rollout is; the operator reads it back after a restart.'),
  since: k.string({ max: 32, format: 'date-time' }).optional(),
  retiring: text(10).doc('The revision that served before and still has its pods.').optional(),
  attempt: k.integer({ min: 1, max: 1000000 }).doc('One more after each retry.').optional(),
  step: k.integer({ min: 0, max: 1000 }).doc('Index of the step under way, from 0.').optional(),
  steps: k.integer({ min: 0, max: 1000 }).doc('How many steps there are.').optional(),
  desiredWeight: k
    .integer({ min: 0, max: 100 })
    .doc('Percent of the traffic that the step asks for the candidate.')
    .optional(),
  setWeight: k
    .integer({ min: 0, max: 100 })
    .doc('Percent that pods can carry so far, on the way to desiredWeight.')
    .optional(),
  actualWeight: k
    .integer({ min: 0, max: 100 })
    .doc(
      'Percent that the candidate really gets; with router Service the share of its ready pods. Absent while it ' +
        'is not known.',
    )
    .optional(),
  pausedReason: text(32).doc('Step, Undecided, ReportsStale, StableUnhealthy or WeightConflict.').optional(),
  heldAt: k.string({ max: 32, format: 'date-time' }).doc('Since when spec.rollout.paused holds it.').optional(),
  lostAt: k.string({ max: 32, format: 'date-time' }).doc('Since when the candidate has no ready pod.').optional(),
  stableLostAt: k
    .string({ max: 32, format: 'date-time' })
    .doc('Since when stable has no ready pod, until its traffic is back.')
    .optional(),
  skipped: text(32)
    .doc('The first judgement that this attempt went on without: ResumedUndecided, PromotedUndecided or StableLost.')
    .optional(),
  shown: text(512)
    .doc('What the last judgement has shown, such as "nothing worse than +38 % p95, +2.1 points errors shown".')
    .optional(),
  promise: text(1024)
    .doc(
      'What was foreseen when the step began: how long it takes at the rate of requests of the half hour before, ' +
        'what it can show, and what it would find.',
    )
    .optional(),
  window: k
    .integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' })
    .doc('First 20 s block (unix seconds / 20) that the gates look at.')
    .optional(),
  floor: count().doc('Pods asked for when the rollout began; fewer only after it.').optional(),
  alpha: number()
    .doc(
      'Chance of a wrong Fail that each gate may spend in this step; from the least to the most where their parts ' +
        'are unequal.',
    )
    .optional(),
  gates: k
    .listMap('name', gate, { max: 16 })
    .doc(
      'Verdicts under traffic, with what they rest on; renewed with every new verdict and else every half a ' +
        'minute, in a pause every five.',
    )
    .optional(),
  judgedAt: k.string({ max: 32, format: 'date-time' }).doc('When these were written.').optional(),
  handledRetryToken: text(63).optional(),
  handledPromoteRevision: text(10)
    .doc(
      'What spec.rollout.promoteRevision says has had its effect, or had none: it asks for nothing until it is ' +
        'taken out or names another revision.',
    )
    .optional(),
  handledResumeStep: text(24).doc('The same of spec.rollout.resumeStep.').optional(),
  reason: text(64).optional(),
  message: text(2048).optional(),
});

const outcome = k.object({
  revision: text(10),
  outcome: k
    .oneOf(['Promoted', 'RolledBack', 'Failed', 'Superseded'])
    .doc('RolledBack: it had traffic. Failed: it never had any.'),
  reason: text(64),
  provenance: text(32).doc('Of a promotion: how it became stable, as in status.stable.').optional(),
  message: text(1024).optional(),
  at: k.string({ max: 32, format: 'date-time' }),
  weight: k.integer({ min: 0, max: 100 }).doc('Percent of the traffic that it had.').optional(),
  gates: k.listMap('name', gate, { max: 16 }).doc('The verdicts that it ended on.').optional(),
});

export const statusSchema = k
  .object({
    observedGeneration: k.integer({ min: -1, max: Number.MAX_SAFE_INTEGER, format: 'int64' }),
    phase: text(32).doc('For people; decide on conditions.').optional(),
    message: text(2048).optional(),
    address: k.object({ url: text(512).doc('Where clients send requests.') }).optional(),
    replicas: count().doc('All pods of the model.').optional(),
    readyReplicas: count().optional(),
    ready: text(16).doc('Ready pods, and how many all revisions are to have now, such as "2/3".').optional(),
    selector: text(512).doc('Label selector of all pods, for autoscalers.').optional(),
    stable: revisionStatus.doc('The revision that serves.').optional(),
    candidate: revisionStatus.doc('The revision that is to take over, or that was given up.').optional(),
    rollout: rollout.optional(),
    history: k.list(outcome, { max: 10 }).doc('Latest first.').optional(),
    conditions: k.listMap('type', condition, { max: 16 }).optional(),
  })
  .serverDefault({ observedGeneration: -1 });
