/**
 * The part of OnnxModel's spec that is not part of a revision: how many pods, and how a new revision takes over.
 *
 * Owns: the shape, bounds and rules of replicas, rollout, traffic and autoscaling. rollout.gates is in gates.ts.
 */
import { k } from './builder.ts';
import { maxProbesPerMinute } from '../report.ts';
import { defaultRouter, routerNames } from '../routers.ts';
import { gatesSchema } from './gates.ts';
import { duration, percent } from './values.ts';

const revisionName = () => k.string({ max: 10, pattern: '^[0-9a-f]{10}$' });

const step = k
  .object({
    weight: k
      .integer({ min: 0, max: 100 })
      .doc('Share of the traffic that the candidate gets from this step on, in percent; 0 to 100.')
      .optional(),
    analyze: k
      .object({
        require: k
          .oneOf(['NoFail', 'Pass'])
          .doc(
            'What ends the step. NoFail: no gate has failed after five minutes (ten with gates.confidence Strict, ' +
              'two with Quick). With enough traffic the step then waits for up to ten minutes more (one with Quick), ' +
              'to show that the candidate is not much worse. Pass: every gate passes.',
          ),
        maxDuration: duration()
          .doc(
            'How long the step may take, such as 30m. If its gates are still undecided then, onUndecided ' + 'decides.',
          )
          .defaultsTo('30m')
          .optional(),
      })
      .doc('Compares the candidate with stable by spec.rollout.gates, at the weight that was reached.')
      .optional(),
    shadow: k
      .object({
        share: percent()
          .doc(
            "Percentage of stable's requests that are kept, with their answers, for the candidate to answer; above " +
              '0% and up to 100%.',
          )
          .defaultsTo('10%')
          .optional(),
        require: k
          .oneOf(['NoFail', 'Pass'])
          .doc(
            'What ends the step. NoFail: no gate has failed after twenty pairs and five minutes (ten with ' +
              'gates.confidence Strict, two with Quick). Pass: every latency gate with maxIncrease, and quality, ' +
              'passes.',
          ),
        maxDuration: duration()
          .doc(
            'How long the step may take, such as 30m. If its gates are still undecided then, onUndecided ' + 'decides.',
          )
          .defaultsTo('30m')
          .optional(),
      })
      .doc(
        "Only before the first weight: the candidate answers copies of stable's requests. The gates compare the " +
          "service times and the answers of both revisions. Users do not get the candidate's answers.",
      )
      .optional(),
    pause: k
      .object({
        duration: duration()
          .doc('How long to wait, such as 1h. Absent: until spec.rollout.resumeStep names this step.')
          .optional(),
      })
      .doc('Keeps the weight for a time, or until a user resumes the rollout.')
      .optional(),
  })
  .rule({
    rule: '[has(self.weight), has(self.analyze), has(self.shadow), has(self.pause)].filter(x, x).size() == 1',
    message: 'a step must have exactly one of weight, analyze, shadow and pause',
  });

const steps = k
  .list(step, { max: 20 })
  .rule({
    rule: 'self.filter(s, has(s.weight)).map(s, s.weight).isSorted()',
    message: 'weights must not decrease from step to step',
  })
  .rule({
    rule: 'self.filter(s, has(s.weight) || has(s.shadow)).map(s, has(s.weight) ? s.weight : -1).isSorted()',
    message: 'shadow steps must come before the first weight: after it, the candidate has requests of its own',
  });

const rollout = k
  .object({
    strategy: k
      .oneOf(['Canary', 'BlueGreen', 'Immediate'])
      .doc(
        'How traffic moves to a new revision. Canary: step by step, judged by gates. BlueGreen: all at ' +
          'once, while the old revision keeps all its pods; judged by the gates that have max, if any. ' +
          'Immediate: all at once; only checked before traffic.',
      )
      .defaultsTo('Immediate')
      .optional(),
    steps: steps
      .doc(
        'The plan of strategy Canary, in order. After the last step the candidate gets all traffic and becomes ' +
          'stable.',
      )
      .defaultsTo('weight 5, analyze NoFail, weight 50, analyze Pass, weight 100')
      .optional(),
    gates: gatesSchema
      .doc(
        'Limits that a candidate must keep, before traffic (golden) and under traffic (all others). Absent: ' +
          'every gate has its default.',
      )
      .optional(),
    probes: k
      .object({
        mode: k
          .oneOf(['Auto', 'Off', 'Always'])
          .doc(
            'When probes are sent. Auto: while the model gets fewer than 200 requests a minute. Always: with any ' +
              'traffic. Off: never, and the requests that are replayed for gate quality are not used to measure ' +
              'latency, either.',
          )
          .defaultsTo('Auto')
          .optional(),
        perMinute: k
          .integer({ min: 1, max: maxProbesPerMinute })
          .doc(
            'Maximum number of probes a minute, over all pods of the candidate together; 1 to 60. Probes never ' +
              "take more than 5% of a pod's time.",
          )
          .defaultsTo('60')
          .optional(),
      })
      .doc(
        'Requests with golden inputs that sidecars send to both revisions during a rollout, so that ' +
          "latency can be judged with little traffic. Users' requests go first, and probes are not counted as " +
          'requests.',
      )
      .optional(),
    onUndecided: k
      .oneOf(['Hold', 'Promote', 'Rollback'])
      .doc(
        'What happens when an analyze or shadow step is undecided after its maxDuration. Hold: the ' +
          'rollout pauses until the gates or a user decide. Promote: it continues with the next step. ' +
          'Rollback: the traffic goes back to stable.',
      )
      .defaultsTo('Hold')
      .optional(),
    progressDeadline: duration()
      .doc(
        'How long the pods of a new revision may take to become ready, at first and at each weight; ' +
          'above 0s. After that the revision is given up, and the stable revision serves.',
      )
      .defaultsTo('30m')
      .optional(),
    capacity: k
      .object({
        mode: k
          .oneOf(['Surge', 'Borrow', 'Recreate'])
          .doc(
            "Where the candidate's pods come from. Surge: they are added to stable's. Borrow: they replace pods of " +
              "stable, so that the total stays the same. Recreate: stable's pods are deleted first, and requests " +
              "fail until the candidate's are ready.",
          )
          .defaultsTo('Surge')
          .optional(),
        maxSurge: k
          .intOrString('^[0-9]{1,3}%$')
          .doc(
            'Maximum number of pods above spec.replicas during a rollout, as a number or a percentage of replicas ' +
              '(rounded up, at least 1). Below 100%, stable loses pods as its weight falls. Only with mode Surge.',
          )
          .defaultsTo('100%')
          .optional(),
        retainStable: duration()
          .doc(
            'How long a replaced revision keeps its pods, for an immediate rollback. A candidate that was given up ' +
              'keeps its ready pods for the same time, for a retry.',
          )
          .defaultsTo('5m, or 0s for Immediate')
          .optional(),
      })
      .doc('How many pods the two revisions of a rollout have. Absent: every field has its default.')
      .optional(),
    paused: k
      .boolean()
      .doc(
        'True: the rollout keeps its weight and its deadlines do not run. A gate that fails still rolls back. ' +
          'Absent: false.',
      )
      .optional(),
    abortRevision: revisionName()
      .doc(
        'Revision to give up: while it is the candidate, its traffic goes back to stable, and it is not ' +
          'retried. Ten hex digits. Absent: no revision.',
      )
      .optional(),
    promoteRevision: revisionName()
      .doc(
        'Revision to promote: while it is the candidate, it gets all traffic as soon as its pods are ' +
          'ready; its checks, steps and gates are skipped. Works once; then remove it. Ten hex digits. ' +
          'Absent: no revision.',
      )
      .optional(),
    pinRevision: revisionName()
      .doc(
        'Revision to serve while this field is set; the rest of the spec is ignored. It must be in the history ' +
          '(revisionHistoryLimit). It is not judged, unless it was given up before. Ten hex digits. Absent: the ' +
          'revision of the spec.',
      )
      .optional(),
    resumeStep: k
      .string({ max: 13, pattern: '^[0-9a-f]{10}/[0-9]{1,2}$' })
      .doc(
        'Ends the wait of a rollout that is paused: its revision and step, such as 0123456789/1, from ' +
          'status.candidate.revision and status.rollout.step (the first step is 0). Absent: no step.',
      )
      .optional(),
    retryToken: k
      .string({ max: 63 })
      .doc('Any text, such as the time. A change starts a new attempt of a revision that was given up.')
      .optional(),
  })
  .rule({
    rule: "!has(self.progressDeadline) || duration(self.progressDeadline) > duration('0s')",
    message: 'progressDeadline must be above 0s',
    fieldPath: '.progressDeadline',
  })
  .rule({
    rule: "!has(self.steps) || (has(self.strategy) && self.strategy == 'Canary')",
    message: 'steps are only allowed with strategy Canary',
    fieldPath: '.steps',
  })
  .rule({
    rule:
      "!has(self.strategy) || self.strategy != 'BlueGreen' || !has(self.capacity) || ((!has(self.capacity.mode) " +
      "|| self.capacity.mode == 'Surge') && !has(self.capacity.maxSurge))",
    message: 'strategy BlueGreen only allows capacity.mode Surge without maxSurge: both revisions keep all their pods',
    fieldPath: '.capacity',
  })
  .rule({
    rule:
      "!has(self.strategy) || self.strategy != 'Canary' || !has(self.capacity) || !has(self.capacity.mode) || " +
      "self.capacity.mode != 'Recreate'",
    message: 'capacity.mode Recreate is not allowed with strategy Canary: use strategy Immediate',
    fieldPath: '.capacity.mode',
  });

const parentRef = k.object({
  group: k.string({ max: 253 }).doc('API group of the parent.').defaultsTo('gateway.networking.k8s.io'),
  kind: k.string({ max: 63 }).doc("The parent's kind.").defaultsTo('Gateway'),
  namespace: k.string({ max: 63, min: 1 }).doc("The parent's namespace.").defaultsTo("the model's namespace"),
  name: k.string({ max: 253, min: 1 }).doc('The parent that the route attaches to, usually a Gateway.'),
  sectionName: k
    .string({ max: 253, min: 1 })
    .doc('The listener of the Gateway that the route attaches to. Absent: every listener that accepts ' + 'the route.')
    .optional(),
  port: k
    .integer({ min: 1, max: 65535 })
    .doc('The route attaches to the listeners with this port; 1 to 65535. Absent: every port.')
    .optional(),
});
const hostname = k.string({
  max: 253,
  min: 1,
  pattern: '^(\\*\\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
});

const traffic = k
  .object({
    router: k
      .oneOf(routerNames)
      .doc(
        'How two revisions share the traffic during a rollout. Service: by their numbers of ready pods. ' +
          'HTTPRoute: by exact weights of a Gateway, which needs the Gateway API in the cluster.',
      )
      .defaultsTo(defaultRouter)
      .optional(),
    parentRefs: k
      .list(parentRef, { max: 8, min: 1 })
      .doc(
        "Gateways that the model's HTTPRoute attaches to, as in HTTPRoute.spec.parentRefs. The operator " +
          "creates the route with the model's name. Required with router HTTPRoute.",
      )
      .optional(),
    hostnames: k
      .list(hostname, { max: 16 })
      .doc(
        'Host names that the HTTPRoute accepts, such as model.example.com or *.example.com. Absent: ' +
          "every host that the Gateway's listeners accept. Only with router HTTPRoute.",
      )
      .optional(),
  })
  .rule({
    rule: "!has(self.router) || self.router != 'HTTPRoute' || has(self.parentRefs)",
    message: 'parentRefs is required with router HTTPRoute: name the Gateway that the route attaches to',
    fieldPath: '.parentRefs',
  })
  .rule({
    rule: "(has(self.router) && self.router == 'HTTPRoute') || (!has(self.parentRefs) && !has(self.hostnames))",
    message: 'parentRefs and hostnames are only allowed with router HTTPRoute',
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
    message: 'minReplicas must be at most maxReplicas',
  });

/** Fields of the spec that are not in the revision's hash. */
export const rolloutFields = {
  replicas: k
    .integer({ min: 0, max: 1000 })
    .doc(
      'How many pods the stable revision has; 0 to 1000. Leave it out of manifests in Git when an ' +
        'autoscaler sets it: removing it later sets it to 1 at once, as with a Deployment.',
    )
    .serverDefault(1),
  revisionHistoryLimit: k
    .integer({ min: 0, max: 50 })
    .doc('How many old revisions are kept in the history, for a rollback or a pin; 0 to 50. They have no pods.')
    .serverDefault(5),
  rollout: rollout
    .doc('How a new revision takes over from the stable one. Absent: every field has its default.')
    .optional(),
  traffic: traffic.doc("How requests reach the model's pods. Absent: by the Service with the model's name.").optional(),
  autoscaling: autoscaling.planned(),
};
