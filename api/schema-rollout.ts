/**
 * The part of OnnxModel's spec that makes no revision: how many pods, and how a new revision takes over.
 *
 * Owns:  the shape, bounds and rules of replicas, rollout, traffic and autoscaling. Most of rollout is planned.
 */
import { k } from './schema-builder.ts';
import { configMapRef, digest, duration } from './schema-revision.ts';
import { maxProbesPerMinute } from './report.ts';
import { fileUriPattern } from './sources.ts';
import { percentPattern } from './units.ts';

const percent = () => k.string({ max: 8, pattern: percentPattern });
const share = () => k.string({ max: 12, pattern: '^(0(\\.[0-9]{1,9})?|1(\\.0{1,9})?)$' });
const revisionName = () => k.string({ max: 10, pattern: '^[0-9a-f]{10}$' });

const step = k
  .object({
    weight: k.integer({ min: 0, max: 100 }).doc('Percent of the traffic that the candidate is to get.').optional(),
    analyze: k
      .object({
        require: k
          .oneOf(['NoFail', 'Pass'])
          .doc(
            'NoFail: no gate fails in five minutes; with enough traffic it waits up to ten more until nothing ' +
              'much worse is shown. Pass: every gate is proven good.',
          ),
        maxDuration: duration()
          .doc('After that, what is still undecided is treated as onUndecided says.')
          .defaultsTo('30m')
          .optional(),
      })
      .doc('Judge both revisions under the weight that was reached.')
      .optional(),
    shadow: k
      .object({
        share: percent()
          .doc("Share of stable's requests that are kept, with their answers, for the candidate to answer too.")
          .defaultsTo('10%')
          .optional(),
        require: k
          .oneOf(['NoFail', 'Pass'])
          .doc(
            'NoFail: no gate fails over twenty pairs and five minutes. Pass: every latency gate against stable, ' +
              'and quality, is proven good.',
          ),
        maxDuration: duration()
          .doc('After that, what is still undecided is treated as onUndecided says.')
          .defaultsTo('30m')
          .optional(),
      })
      .doc(
        "Before any weight: the candidate answers copies of stable's requests, and is judged by how long both " +
          'took and how their answers agree. No user gets its answers.',
      )
      .optional(),
    pause: k
      .object({ duration: duration().doc('Absent: until spec.rollout.resumeStep names the step.').optional() })
      .doc('Keep the weight for a while.')
      .optional(),
  })
  .rule({
    rule: '[has(self.weight), has(self.analyze), has(self.shadow), has(self.pause)].filter(x, x).size() == 1',
    message: 'a step is one of weight, analyze, shadow and pause',
  });

const minDetectableNeeds = {
  rule: '!has(self.minDetectable) || has(self.maxIncrease)',
  message:
    'minDetectable goes with maxIncrease: it is what a Pass may show where the traffic is too low to show maxIncrease',
  fieldPath: '.minDetectable',
} as const;
const minDetectableIsMore = {
  rule:
    "!has(self.minDetectable) || !has(self.maxIncrease) || double(self.minDetectable.replace('%', '')) >= " +
    "double(self.maxIncrease.replace('%', ''))",
  message: 'minDetectable is at least maxIncrease: a Pass shows maxIncrease where it can',
  fieldPath: '.minDetectable',
} as const;

const latencyGate = k
  .object({
    name: k.string({ max: 40, min: 1 }),
    quantile: share().doc('Above 0 and below 1, as text: "0.95".'),
    maxIncrease: percent()
      .doc(
        'By how much it may be above stable. It passes only when no more than this is shown, unless minDetectable ' +
          'allows more.',
      )
      .optional(),
    max: duration().doc('How much it may be, whatever stable does.').optional(),
    minDetectable: percent()
      .doc(
        "Where the traffic is too low to show maxIncrease within the step's time: up to how much a Pass may show " +
          'instead. status.history says what was shown. Absent: maxIncrease is shown, or the gate stays undecided.',
      )
      .optional(),
    eachClass: k
      .boolean()
      .doc(
        'Judge every class of requests (tier and size) with enough of them in both revisions by itself, too: the ' +
          'gate fails when one of them fails, and passes when all of them and the mix pass. For maxIncrease.',
      )
      .optional(),
  })
  .rule({
    rule: "!(self.name in ['errors', 'errors-max', 'quality'])",
    message: 'errors, errors-max and quality are the names of other gates',
    fieldPath: '.name',
  })
  .rule({
    rule: 'double(self.quantile) > 0.0 && double(self.quantile) < 1.0',
    message: 'a quantile is above 0 and below 1',
    fieldPath: '.quantile',
  })
  .rule({
    rule: "!has(self.max) || duration(self.max) > duration('0s')",
    message: 'a limit is above 0',
    fieldPath: '.max',
  })
  .rule({ rule: 'has(self.max) != has(self.maxIncrease)', message: 'a latency gate has either max or maxIncrease' })
  .rule(minDetectableNeeds)
  .rule(minDetectableIsMore)
  .rule({
    rule: '!has(self.eachClass) || has(self.maxIncrease)',
    message: 'eachClass goes with maxIncrease: a limit in milliseconds is one of all requests',
    fieldPath: '.eachClass',
  });

const goldenGate = k
  .object({
    configMapRef: configMapRef()
      .doc(
        'The set is its only key, or the key golden.jsonl or golden.bin. What it holds is frozen when the rollout ' +
          'begins.',
      )
      .optional(),
    uri: k
      .string({ max: 2048, min: 1, pattern: fileUriPattern })
      .doc('One file, fetched as a model is: https, npm, or a path in the claim of a pvc:// model. Needs a digest.')
      .optional(),
    digest: digest().doc('SHA-256 of the file at uri.').optional(),
    metric: k
      .oneOf(['MaxAbsError', 'Cosine', 'Top1Agreement', 'ExactMatch', 'WordErrorRate', 'Accuracy'])
      .doc(
        'MaxAbsError and Cosine: of the worst case. Top1Agreement, ExactMatch and Accuracy: shares over the set. ' +
          'WordErrorRate: wrong words a word. Accuracy takes expected labels.',
      ),
    min: share()
      .doc('Score at least; for Cosine, Top1Agreement, ExactMatch and Accuracy. Accuracy has no default.')
      .defaultsTo('0.99 for Cosine, 0.98 for Top1Agreement, 1 for ExactMatch'),
    max: k
      .string({ max: 16, pattern: '^[0-9]+(\\.[0-9]+)?$' })
      .doc('Score at most; for MaxAbsError and WordErrorRate. MaxAbsError has no default.')
      .defaultsTo('0.05 for WordErrorRate'),
  })
  .rule({
    rule: '!(has(self.configMapRef) && has(self.uri))',
    message: 'a golden set comes from configMapRef or from uri, not from both',
    fieldPath: '.uri',
  })
  .rule({
    rule: 'has(self.uri) == has(self.digest)',
    message: 'uri and digest go together: the digest says which file is meant',
    fieldPath: '.digest',
  })
  .rule({
    rule: "!has(self.min) || !(self.metric in ['MaxAbsError', 'WordErrorRate'])",
    message: 'an error has a max, no min',
    fieldPath: '.min',
  })
  .rule({
    rule: "!has(self.max) || self.metric in ['MaxAbsError', 'WordErrorRate']",
    message: 'max is for errors (MaxAbsError, WordErrorRate); this metric has a min',
    fieldPath: '.max',
  })
  .rule({
    rule: "self.metric != 'MaxAbsError' || has(self.max)",
    message: 'MaxAbsError needs a max: how large an error may be only you know',
    fieldPath: '.max',
  })
  .rule({
    rule: "self.metric != 'Accuracy' || has(self.min)",
    message: 'Accuracy needs a min: how good the model is only you know',
    fieldPath: '.min',
  })
  .rule({
    rule: "self.metric in ['MaxAbsError', 'Cosine'] || has(self.configMapRef) || has(self.uri)",
    message: 'made-up inputs are compared by Cosine or MaxAbsError: for this metric give a set',
    fieldPath: '.metric',
  });

const gates = k
  .object({
    golden: goldenGate
      .doc(
        'Answers that a new revision has to give before it gets traffic. Absent: inputs are made up from the I/O ' +
          "signature, and its answers have to be stable's by Cosine 0.9.",
      )
      .optional(),
    latency: k
      .listMap('name', latencyGate, { max: 8 })
      .doc(
        'Default: p95 may rise by 15%, p99 by 30%; with little traffic a Pass may show up to 100% at p95, and at ' +
          'p99 it shows nothing: that gate only fails.',
      )
      .optional(),
    errors: k
      .object({
        maxIncrease: percent()
          .doc("By how many points of percent the candidate's error rate may be above stable's.")
          .optional(),
        max: percent().doc('How high it may be, whatever stable does.').optional(),
        minDetectable: percent()
          .doc(
            "Where the traffic is too low to show maxIncrease within the step's time: up to how many points a " +
              'Pass may show instead.',
          )
          .optional(),
      })
      .rule(minDetectableNeeds)
      .rule(minDetectableIsMore)
      .doc('Default: maxIncrease 1%; with little traffic a Pass may show up to 5%.')
      .optional(),
    confidence: k
      .oneOf(['Strict', 'Standard', 'Quick'])
      .doc(
        'How sure a verdict has to be, against how long it takes. Strict: at most 1% of good rollouts go back, a ' +
          'Pass always shows the limits. Standard: 5%, and with little traffic a Pass shows less after a while. ' +
          'Quick: 20%, and it shows less sooner.',
      )
      .defaultsTo('Standard')
      .optional(),
    quality: k
      .object({
        sampleRate: percent().doc("Share of stable's requests that the candidate answers too, on its own time."),
        metric: k
          .oneOf(['Cosine', 'Top1Agreement', 'ExactMatch'])
          .doc('How two answers are compared. Cosine: one agrees from 0.99 on.'),
        min: share().doc('Share of compared answers that has to agree.'),
      })
      .doc("Live requests replayed against stable's answers. Absent: not judged.")
      .optional(),
    alpha: share()
      .doc(
        'Chance of a wrong rollback over the whole rollout, for independent requests, instead of that of ' +
          'confidence; gates that are written share it equally, over the analyze steps.',
      )
      .defaultsTo('0.05, with confidence Standard')
      .optional(),
    minRequests: k
      .integer({ min: 0, max: 10000000 })
      .doc('Requests of each revision before a step may end. Holds back Pass, never Fail.')
      .defaultsTo('200, fewer where the traffic is too low for it')
      .optional(),
  })
  .rule({
    rule: '!has(self.alpha) || (double(self.alpha) > 0.0 && double(self.alpha) < 1.0)',
    message: 'a chance is above 0 and below 1',
    fieldPath: '.alpha',
  });

const steps = k
  .list(step, { max: 20 })
  .rule({ rule: 'self.filter(s, has(s.weight)).map(s, s.weight).isSorted()', message: 'weights never decrease' })
  .rule({
    rule: 'self.filter(s, has(s.weight) || has(s.shadow)).map(s, has(s.weight) ? s.weight : -1).isSorted()',
    message: 'shadow steps come before the first weight: from then on there are requests of its own to judge by',
  });

const rollout = k
  .object({
    strategy: k
      .oneOf(['Canary', 'BlueGreen', 'Immediate'])
      .doc(
        'Canary: traffic by steps, each judged. BlueGreen: all traffic at once, with the old revision kept in ' +
          'full. Immediate: all traffic at once.',
      )
      .defaultsTo('Immediate')
      .optional(),
    steps: steps
      .doc('What a Canary goes through, in order. After the last one all traffic goes to the new revision.')
      .defaultsTo('weight 5, analyze NoFail, weight 50, analyze Pass, weight 100')
      .optional(),
    gates: gates.doc('What a new revision has to prove.').optional(),
    probes: k
      .object({
        mode: k
          .oneOf(['Auto', 'Off', 'Always'])
          .doc(
            'Auto: while the model gets fewer than 200 requests a minute. Off: no probes, and replays for quality ' +
              'give no latencies.',
          )
          .defaultsTo('Auto')
          .optional(),
        perMinute: k
          .integer({ min: 1, max: maxProbesPerMinute })
          .doc("At most, over all the candidate's pods; never more than takes 5 % of a pod's time.")
          .defaultsTo('60')
          .optional(),
      })
      .doc(
        'Golden inputs asked of both revisions beside users, so that latency can be judged with hardly any ' +
          'traffic. They are in no count of requests.',
      )
      .optional(),
    onUndecided: k
      .oneOf(['Hold', 'Promote', 'Rollback'])
      .doc('What to do when an analyze step is undecided after its maxDuration.')
      .defaultsTo('Hold')
      .optional(),
    progressDeadline: duration()
      .doc('A new revision whose pods are not ready by then is given up; the stable one keeps serving.')
      .defaultsTo('30m')
      .optional(),
    capacity: k
      .object({
        mode: k
          .oneOf(['Surge', 'Borrow', 'Recreate'])
          .doc(
            "Surge: the candidate's pods come on top. Borrow: they are taken from stable's, the number stays. " +
              "Recreate: stable's go before the candidate's come; nothing serves in between.",
          )
          .defaultsTo('Surge')
          .optional(),
        maxSurge: k
          .intOrString('^[0-9]{1,3}%$')
          .doc(
            'Pods, or percent of replicas, that a rollout may have on top; at least one. Less than 100% takes ' +
              'pods from stable as its weight falls.',
          )
          .defaultsTo('100%')
          .optional(),
        retainStable: duration()
          .doc('How long the replaced revision keeps its pods: until then going back is instant.')
          .defaultsTo('5m, or 0s for Immediate')
          .optional(),
      })
      .doc('Where the pods of two revisions come from.')
      .optional(),
    paused: k
      .boolean()
      .doc('Holds the rollout where it is; clocks stand still. A gate that fails still takes the traffic back.')
      .optional(),
    abortRevision: revisionName().doc('Gives this candidate up.').optional(),
    promoteRevision: revisionName()
      .doc('Gives this candidate all the traffic as soon as its pods can carry it, whatever its gates say.')
      .optional(),
    pinRevision: revisionName()
      .doc('Serves this remembered revision whatever the rest of the spec says, until it is taken out.')
      .optional(),
    resumeStep: k
      .string({ max: 13, pattern: '^[0-9a-f]{10}/[0-9]{1,2}$' })
      .doc('Ends the pause of that step: revision/step, as status.rollout shows them.')
      .optional(),
    retryToken: k.string({ max: 63 }).doc('Any change of it tries a revision that was given up again.').optional(),
  })
  .rule({
    rule: "!has(self.progressDeadline) || duration(self.progressDeadline) > duration('0s')",
    message: 'a revision needs time to come up',
    fieldPath: '.progressDeadline',
  })
  .rule({
    rule: "!has(self.steps) || (has(self.strategy) && self.strategy == 'Canary')",
    message: 'steps are for strategy Canary',
    fieldPath: '.steps',
  })
  .rule({
    rule:
      "!has(self.strategy) || self.strategy != 'BlueGreen' || !has(self.capacity) || ((!has(self.capacity.mode) " +
      "|| self.capacity.mode == 'Surge') && !has(self.capacity.maxSurge))",
    message: 'strategy BlueGreen needs both revisions in full: capacity.mode Surge without a maxSurge',
    fieldPath: '.capacity',
  })
  .rule({
    rule:
      "!has(self.strategy) || self.strategy != 'Canary' || !has(self.capacity) || !has(self.capacity.mode) || " +
      "self.capacity.mode != 'Recreate'",
    message: 'with capacity.mode Recreate one revision serves at a time: use strategy Immediate',
    fieldPath: '.capacity.mode',
  });

const parentRef = k.object({
  group: k.string({ max: 253 }).doc('Default: gateway.networking.k8s.io.').optional(),
  kind: k.string({ max: 63 }).doc('Default: Gateway.').optional(),
  namespace: k.string({ max: 63, min: 1 }).doc("Default: the model's.").optional(),
  name: k.string({ max: 253, min: 1 }),
  sectionName: k.string({ max: 253, min: 1 }).doc('One listener of it; absent: all that take the route.').optional(),
  port: k.integer({ min: 1, max: 65535 }).optional(),
});
const hostname = k.string({
  max: 253,
  min: 1,
  pattern: '^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
});

const traffic = k
  .object({
    router: k
      .oneOf(['Service', 'HTTPRoute'])
      .doc(
        'Service: two revisions share the traffic by their numbers of ready pods. HTTPRoute: a Gateway sends each ' +
          'its exact weight; needs the Gateway API.',
      )
      .defaultsTo('Service')
      .optional(),
    parentRefs: k
      .list(parentRef, { max: 8, min: 1 })
      .doc(
        'Gateways that the HTTPRoute attaches to, as in HTTPRoute.spec.parentRefs. The operator owns the route, ' +
          'named as the model.',
      )
      .optional(),
    hostnames: k
      .list(hostname, { max: 16 })
      .doc("Hosts that the HTTPRoute answers to. Absent: whatever the Gateway's listeners take.")
      .optional(),
  })
  .rule({
    rule: "!has(self.router) || self.router != 'HTTPRoute' || has(self.parentRefs)",
    message: 'router HTTPRoute needs parentRefs: the Gateway that the route attaches to',
    fieldPath: '.parentRefs',
  })
  .rule({
    rule: "(has(self.router) && self.router == 'HTTPRoute') || (!has(self.parentRefs) && !has(self.hostnames))",
    message: 'parentRefs and hostnames are for router HTTPRoute',
    fieldPath: '.router',
  });

const autoscaling = k
  .object({
    minReplicas: k.integer({ min: 1, max: 1000 }).optional(),
    maxReplicas: k.integer({ min: 1, max: 1000 }),
    targetQueueDepth: k.integer({ min: 1, max: 65536 }).optional(),
    targetLatency: duration().optional(),
  })
  .rule({
    rule: '!has(self.minReplicas) || self.minReplicas <= self.maxReplicas',
    message: 'minReplicas is at most maxReplicas',
  });

/** Fields of the spec that are not part of the revision's hash. */
export const rolloutFields = {
  replicas: k
    .integer({ min: 0, max: 1000 })
    .doc(
      'Pods of the stable revision. Leave it out of Git when an autoscaler owns it; taking it out later sets it ' +
        'to 1 at once, as with a Deployment.',
    )
    .serverDefault(1),
  revisionHistoryLimit: k
    .integer({ min: 0, max: 50 })
    .doc('Old revisions that are kept to go back to.')
    .serverDefault(5),
  rollout: rollout.doc('How a new revision takes over.').optional(),
  traffic: traffic.doc('How clients reach the model.').optional(),
  autoscaling: autoscaling.planned(),
};
