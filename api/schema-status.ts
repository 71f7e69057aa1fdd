/**
 * The status of an OnnxModel: what the operator says about it. It carries only values that change by steps;
 * live numbers are metrics and the report.
 */
import { k } from './schema-builder.ts';

const text = (max: number) => k.string({ max });
const count = () => k.integer({ min: 0, max: 100000 });

const failingPod = k.object({
  name: text(253),
  reason: text(64).doc('One word, e.g. OOMKilled, ImagePullBackOff, DIGEST_MISMATCH.'),
  lastWords: text(1024).doc("What the container or the cluster said, in its own words.").optional(),
});

const revisionStatus = k.object({
  revision: text(10).doc('Ten hex digits; the suffix of its children.'),
  generation: k.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' }).doc('Generation of the spec it was made from.').optional(),
  digest: text(71).doc('What its pods serve; later pods refuse anything else.').optional(),
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
});

const condition = k.object({
  type: text(316),
  status: k.oneOf(['True', 'False', 'Unknown']),
  reason: text(1024),
  message: text(32768),
  observedGeneration: k.integer({ min: 0, max: Number.MAX_SAFE_INTEGER, format: 'int64' }).optional(),
  lastTransitionTime: k.string({ max: 32, format: 'date-time' }),
});

const rollout = k.object({
  phase: text(32).doc('Where the rollout is; the operator reads it back after a restart.'),
  since: k.string({ max: 32, format: 'date-time' }).optional(),
  retiring: text(10).doc('The revision that served before and still has its pods.').optional(),
  reason: text(64).optional(),
  message: text(2048).optional(),
});

const outcome = k.object({
  revision: text(10),
  outcome: k.oneOf(['Promoted', 'Failed', 'Superseded']),
  reason: text(64),
  message: text(1024).optional(),
  at: k.string({ max: 32, format: 'date-time' }),
});

export const statusSchema = k
  .object({
    observedGeneration: k.integer({ min: -1, max: Number.MAX_SAFE_INTEGER, format: 'int64' }),
    phase: text(32).doc('For people; decide on conditions.').optional(),
    message: text(2048).optional(),
    address: k.object({ url: text(512).doc('Where clients send requests.') }).optional(),
    replicas: count().doc('All pods of the model.').optional(),
    readyReplicas: count().optional(),
    selector: text(512).doc('Label selector of all pods, for autoscalers.').optional(),
    stable: revisionStatus.doc('The revision that serves.').optional(),
    candidate: revisionStatus.doc('The revision that is to take over, or that was given up.').optional(),
    rollout: rollout.optional(),
    history: k.list(outcome, { max: 10 }).doc('Latest first.').optional(),
    conditions: k.listMap('type', condition, { max: 16 }).optional(),
  })
  .serverDefault({ observedGeneration: -1 });
