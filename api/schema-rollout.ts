/**
 * The part of OnnxModel's spec that makes no revision: how many pods, and how a new revision takes over.
 *
 * Owns:  the shape, bounds and rules of replicas, rollout, traffic and autoscaling. Most of rollout is planned.
 */
import { k } from './schema-builder.ts';
import { configMapRef, duration } from './schema-revision.ts';

const percent = () => k.string({ max: 8, pattern: '^[0-9]{1,3}(\\.[0-9]{1,4})?%$' });
const share = () => k.string({ max: 12, pattern: '^(0(\\.[0-9]{1,9})?|1(\\.0{1,9})?)$' });
const revisionName = () => k.string({ max: 10, pattern: '^[0-9a-f]{10}$' });

const step = k
  .object({
    weight: k.integer({ min: 0, max: 100 }).optional(),
    analyze: k.object({ require: k.oneOf(['NoFail', 'Pass']), maxDuration: duration().optional() }).optional(),
    pause: k.object({ duration: duration().optional() }).optional(),
  })
  .rule({ rule: '[has(self.weight), has(self.analyze), has(self.pause)].filter(x, x).size() == 1', message: 'a step is one of weight, analyze and pause' });

const latencyGate = k
  .object({
    name: k.string({ max: 40, min: 1 }),
    quantile: share(),
    maxIncrease: percent().optional(),
    max: duration().optional(),
  })
  .rule({ rule: 'has(self.max) != has(self.maxIncrease)', message: 'a latency gate has either max or maxIncrease' });

const gates = k.object({
  golden: k
    .object({
      configMapRef: configMapRef().optional(),
      uri: k.string({ max: 2048 }).optional(),
      digest: k.string({ max: 71 }).optional(),
      metric: k.oneOf(['MaxAbsError', 'Cosine', 'Top1Agreement', 'ExactMatch', 'WordErrorRate', 'Accuracy']),
      min: share().optional(),
      max: k.string({ max: 16, pattern: '^[0-9]+(\\.[0-9]+)?$' }).optional(),
    })
    .optional(),
  latency: k.listMap('name', latencyGate, { max: 8 }).optional(),
  errors: k.object({ maxIncrease: percent().optional(), max: percent().optional() }).optional(),
  quality: k.object({ sampleRate: percent(), metric: k.oneOf(['Cosine', 'Top1Agreement', 'ExactMatch']), min: share() }).optional(),
  alpha: share().optional(),
  minRequests: k.integer({ min: 0, max: 10000000 }).optional(),
});

const steps = k
  .list(step, { max: 20 })
  .rule({ rule: 'self.filter(s, has(s.weight)).map(s, s.weight).isSorted()', message: 'weights never decrease' });

const rollout = k
  .object({
    strategy: k.oneOf(['Immediate'], ['Canary', 'BlueGreen']).doc('Immediate: a new revision takes all traffic once its pods are warm and ready.').defaultsTo('Immediate'),
    progressDeadline: duration().doc('A new revision that is not ready by then is given up; the stable one keeps serving.').defaultsTo('30m'),
    steps: steps.planned(),
    gates: gates.planned(),
    onUndecided: k.oneOf(['Hold', 'Promote', 'Rollback']).planned(),
    capacity: k
      .object({
        mode: k.oneOf(['Surge', 'Borrow', 'Recreate']).optional(),
        maxSurge: k.intOrString('^[0-9]{1,3}%$').optional(),
        retainStable: duration().optional(),
      })
      .planned(),
    paused: k.boolean().planned(),
    abortRevision: revisionName().planned(),
    promoteRevision: revisionName().planned(),
    pinRevision: revisionName().planned(),
    resumeStep: k.string({ max: 13, pattern: '^[0-9a-f]{10}/[0-9]{1,2}$' }).planned(),
    retryToken: k.string({ max: 63 }).planned(),
  })
  .rule({ rule: "!has(self.progressDeadline) || duration(self.progressDeadline) > duration('0s')", message: 'a revision needs time to come up', fieldPath: '.progressDeadline' })
  .rule({ rule: "!has(self.steps) || (has(self.strategy) && self.strategy == 'Canary')", message: 'steps are for strategy Canary', fieldPath: '.steps' }, 'whole');

const parentRef = k.object({
  group: k.string({ max: 253 }).optional(),
  kind: k.string({ max: 63 }).optional(),
  namespace: k.string({ max: 63 }).optional(),
  name: k.string({ max: 253, min: 1 }),
  sectionName: k.string({ max: 253 }).optional(),
  port: k.integer({ min: 1, max: 65535 }).optional(),
});
const traffic = k.object({
  router: k.oneOf(['Service', 'HTTPRoute']),
  parentRefs: k.list(parentRef, { max: 8 }).optional(),
  hostnames: k.list(k.string({ max: 253 }), { max: 16 }).optional(),
});

const autoscaling = k
  .object({
    minReplicas: k.integer({ min: 1, max: 1000 }).optional(),
    maxReplicas: k.integer({ min: 1, max: 1000 }),
    targetQueueDepth: k.integer({ min: 1, max: 65536 }).optional(),
    targetLatency: duration().optional(),
  })
  .rule({ rule: '!has(self.minReplicas) || self.minReplicas <= self.maxReplicas', message: 'minReplicas is at most maxReplicas' });

/** Fields of the spec that are not part of the revision's hash. */
export const rolloutFields = {
  replicas: k
    .integer({ min: 0, max: 1000 })
    .doc('Pods of the stable revision. Leave it out of Git when an autoscaler owns it; taking it out later sets it to 1 at once, as with a Deployment.')
    .serverDefault(1),
  revisionHistoryLimit: k.integer({ min: 0, max: 50 }).doc('Old revisions that are kept to go back to.').serverDefault(5),
  rollout: rollout.doc('How a new revision takes over.').optional(),
  traffic: traffic.planned(),
  autoscaling: autoscaling.planned(),
};
