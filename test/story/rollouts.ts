/** The stories of rollouts: the events of each, with their times. The files `*.golden` contain the expected texts. */
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import type { Stage } from '../support/stage.ts';

type Rollout = NonNullable<OnnxModelSpec['rollout']>;
export type Event = { readonly atS: number; readonly say: string; readonly does: (stage: Stage) => void };
export type Story = { readonly name: string; readonly seconds: number; readonly events: readonly Event[] };

const quick = { capacity: { retainStable: '30s' }, progressDeadline: '3m' } as const;
const route = {
  traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'gateway' }] },
} as const satisfies Partial<OnnxModelSpec>;

function spec(
  file: string,
  rollout: Rollout = { strategy: 'Canary' },
  more: Partial<OnnxModelSpec> = {},
): OnnxModelSpec {
  return {
    model: { uri: `https://models.example/${file}` },
    replicas: 3,
    revisionHistoryLimit: 5,
    ...more,
    rollout: { ...quick, ...rollout },
  };
}

const apply = (atS: number, file: string, rollout?: Rollout, more?: Partial<OnnxModelSpec>): Event => ({
  atS,
  say: `apply ${file}`,
  does: (stage) => stage.apply(spec(file, rollout, more)),
});
const gates = (atS: number, say: string, said: Stage['gates']): Event => ({
  atS,
  say,
  does: (stage) => {
    stage.gates = said;
  },
});
const does = (atS: number, say: string, act: Event['does']): Event => ({ atS, say, does: act });

const done = (atS: number): Event =>
  gates(atS, 'the gates pass', { step: 'Done', message: 'all gates have passed', absolute: 'None' });
const waiting = (atS: number): Event =>
  gates(atS, 'the gates need more requests', { step: 'Waiting', message: '40 of 200 requests', absolute: 'None' });
const candidate = (stage: Stage): string => stage.status.candidate?.revision ?? '';
const stepNow = (stage: Stage): string => `${candidate(stage)}/${stage.status.rollout?.step ?? 0}`;

const short = [{ weight: 34 }, { analyze: { require: 'NoFail', maxDuration: '1m' } }, { weight: 100 }] as const;
const withShadow = [
  { shadow: { require: 'Pass', maxDuration: '5m' } },
  { weight: 34 },
  { analyze: { require: 'NoFail' } },
  { weight: 100 },
] as const;
const withPause = [{ weight: 34 }, { pause: {} }, { weight: 67 }, { pause: { duration: '20s' } }] as const;
const canary = (steps: Rollout['steps'], more: Rollout = {}): Rollout => ({
  strategy: 'Canary',
  ...(steps === undefined ? {} : { steps }),
  ...more,
});

const golden: Rollout = { strategy: 'Canary', gates: { golden: { metric: 'Cosine', min: '0.99' } } };

export const stories: readonly Story[] = [
  {
    name: 'a canary goes through the default steps',
    seconds: 300,
    events: [apply(0, 'one'), apply(60, 'two'), done(110), waiting(130), done(160)],
  },
  {
    name: 'a canary by a route goes through the default steps',
    seconds: 300,
    events: [apply(0, 'one', undefined, route), apply(60, 'two', undefined, route), done(110), waiting(125), done(160)],
  },
  {
    name: 'a candidate is judged in the shadow before it gets any traffic',
    seconds: 330,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(withShadow), route),
      done(140),
      waiting(160),
      done(200),
    ],
  },
  {
    name: 'a candidate that is slow in the shadow gets no traffic',
    seconds: 200,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(withShadow), route),
      gates(140, "the shadow's latency gate fails", {
        step: 'Fail',
        failed: 'LatencyGateFailed',
        message: 'p95 is 52% above stable (at least 21%, allowed 15%) by 310 replays',
        absolute: 'None',
      }),
    ],
  },
  {
    name: 'a candidate with wrong answers gets no traffic',
    seconds: 150,
    events: [
      apply(0, 'one'),
      apply(60, 'odd', { strategy: 'Canary', gates: { golden: { metric: 'Cosine', min: '0.99' } } }),
    ],
  },
  {
    name: 'a slow candidate is rolled back at its first step',
    seconds: 200,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', undefined, route),
      gates(120, 'the latency gate fails', {
        step: 'Fail',
        failed: 'LatencyGateFailed',
        message: 'p95 of the candidate is 21% to 38% above stable, 15% are allowed',
        absolute: 'None',
      }),
    ],
  },
  {
    name: 'a rollout is paused manually and continues',
    seconds: 260,
    events: [
      apply(0, 'one'),
      apply(60, 'two', canary(short)),
      does(110, 'pause', (stage) => stage.intend(() => ({ paused: true }))),
      done(120),
      does(150, 'resume', (stage) => stage.intend(() => ({}), ['paused'])),
    ],
  },
  {
    name: 'a failed gate rolls back a paused rollout',
    seconds: 200,
    events: [
      apply(0, 'one'),
      apply(60, 'two', canary(short)),
      does(110, 'pause', (stage) => stage.intend(() => ({ paused: true }))),
      gates(130, 'the errors gate fails', {
        step: 'Fail',
        failed: 'ErrorsGateFailed',
        message: '4% of the requests fail',
        absolute: 'None',
      }),
    ],
  },
  {
    name: 'a step waits until it is resumed',
    seconds: 300,
    events: [
      apply(0, 'one'),
      apply(60, 'two', canary(withPause)),
      does(140, 'resume its step', (stage) => stage.intend(() => ({ resumeStep: stepNow(stage) }))),
    ],
  },
  {
    name: 'too little traffic holds a rollout until there is more',
    seconds: 300,
    events: [apply(0, 'one'), apply(60, 'two', canary(short)), done(200)],
  },
  {
    name: 'too little traffic rolls back with onUndecided Rollback',
    seconds: 220,
    events: [apply(0, 'one'), apply(60, 'two', canary(short, { onUndecided: 'Rollback' }))],
  },
  {
    name: 'an aborted candidate is retried',
    seconds: 330,
    events: [
      apply(0, 'one'),
      apply(60, 'two', canary(short)),
      does(110, 'abort', (stage) => stage.intend(() => ({ abortRevision: candidate(stage) }))),
      does(160, 'retry', (stage) => stage.intend(() => ({ retryToken: '1' }), ['abortRevision'])),
      done(210),
    ],
  },
  {
    name: 'a candidate is promoted manually',
    seconds: 220,
    events: [
      apply(0, 'one'),
      apply(60, 'two'),
      does(110, 'promote', (stage) => stage.intend(() => ({ promoteRevision: candidate(stage) }))),
    ],
  },
  {
    name: 'a third spec is applied during a rollout',
    seconds: 330,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      apply(110, 'three', canary(short), route),
      done(170),
    ],
  },
  {
    name: 'the spec is reverted during a rollout',
    seconds: 200,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      apply(110, 'one', canary(short), route),
    ],
  },
  {
    name: 'the pods of a candidate fail under traffic',
    seconds: 220,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      does(110, 'the pods of two fail', ({ cluster }) => cluster.sick.add('two')),
    ],
  },
  {
    name: 'the pods of a candidate recover in time',
    seconds: 260,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      does(110, 'the pods of two are not ready', ({ cluster }) => cluster.sick.add('two')),
      does(125, 'the pods of two are ready again', ({ cluster }) => cluster.sick.clear()),
      done(150),
    ],
  },
  {
    name: 'stable fails during a canary and recovers',
    seconds: 300,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      does(110, 'the pods of one fail', ({ cluster }) => cluster.sick.add('one')),
      does(150, 'the pods of one are ready again', ({ cluster }) => cluster.sick.clear()),
      done(180),
    ],
  },
  {
    name: 'a fix is promoted while stable is down',
    seconds: 260,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short, { gates: { errors: { max: '2%' } } }), route),
      does(110, 'the pods of one fail', ({ cluster }) => cluster.sick.add('one')),
      gates(130, 'two is within its absolute limits', {
        step: 'Waiting',
        absolute: 'Pass',
        message: 'stable has no requests',
      }),
      done(160),
    ],
  },
  {
    name: 'a pause for approval continues after a short outage of stable',
    seconds: 200,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary([{ weight: 20 }, { pause: {} }, { weight: 100 }]), route),
      does(120, 'the pods of one are not ready', ({ cluster }) => cluster.sick.add('one')),
      does(125, 'the pods of one are ready again', ({ cluster }) => cluster.sick.clear()),
      does(160, 'resume its step', (stage) => stage.intend(() => ({ resumeStep: stepNow(stage) }))),
    ],
  },
  {
    name: 'a forced revision is judged when it is applied again',
    seconds: 500,
    events: [
      apply(0, 'one'),
      apply(60, 'odd', golden),
      does(120, 'promote it despite the failure', (stage) =>
        stage.intend(() => ({ promoteRevision: candidate(stage) })),
      ),
      apply(250, 'one', golden),
      does(400, 'remove promoteRevision', (stage) => stage.intend(() => ({}), ['promoteRevision'])),
      apply(405, 'odd', golden),
    ],
  },
  {
    name: 'a failed revision is pinned and retried',
    seconds: 320,
    events: [
      apply(0, 'one'),
      apply(60, 'odd', golden),
      does(120, 'pin it', (stage) => stage.intend(() => ({ pinRevision: candidate(stage) }))),
      does(160, 'retry', (stage) => stage.intend(() => ({ retryToken: '1' }))),
      does(260, 'unpin', (stage) => stage.intend(() => ({}), ['pinRevision'])),
    ],
  },
  {
    name: 'a spec is changed while the model is scaled to zero',
    seconds: 360,
    events: [
      apply(0, 'one'),
      apply(60, 'one', golden, { replicas: 0 }),
      apply(100, 'two', golden, { replicas: 0 }),
      apply(150, 'two', golden, { replicas: 2 }),
      apply(220, 'two', golden, { replicas: 0 }),
      apply(240, 'odd', golden, { replicas: 0 }),
      apply(280, 'odd', golden, { replicas: 2 }),
    ],
  },
  {
    name: 'silent sidecars hold a rollout',
    seconds: 280,
    events: [
      apply(0, 'one'),
      apply(60, 'two', canary(short, { onUndecided: 'Hold' })),
      does(105, 'no sidecar of two answers', (stage) => {
        stage.isSilent = true;
      }),
      does(180, 'the sidecars of two answer again', (stage) => {
        stage.isSilent = false;
      }),
      done(200),
    ],
  },
  {
    name: 'an autoscaler adds and removes pods during a rollout',
    seconds: 300,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      apply(110, 'two', canary(short), { ...route, replicas: 6 }),
      apply(150, 'two', canary(short), { ...route, replicas: 2 }),
      done(180),
    ],
  },
  {
    name: 'a model is scaled to zero during a canary',
    seconds: 300,
    events: [
      apply(0, 'one'),
      apply(60, 'two', canary(short)),
      apply(110, 'two', canary(short), { replicas: 0 }),
      apply(150, 'two', canary(short), { replicas: 2 }),
      done(200),
    ],
  },
  {
    name: 'blue and green change places',
    seconds: 220,
    events: [apply(0, 'one', { strategy: 'BlueGreen' }), apply(60, 'two', { strategy: 'BlueGreen' })],
  },
  {
    name: 'green is rolled back by absolute limits',
    seconds: 220,
    events: [
      apply(0, 'one', { strategy: 'BlueGreen' }),
      apply(60, 'two', { strategy: 'BlueGreen', gates: { errors: { max: '2%' } } }),
      gates(120, 'the errors gate fails', {
        step: 'Fail',
        failed: 'ErrorsGateFailed',
        message: '9% of the requests fail, 2% are allowed',
        absolute: 'Fail',
      }),
    ],
  },
  {
    name: 'pods are borrowed for a canary',
    seconds: 420,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(undefined, { capacity: { ...quick.capacity, mode: 'Borrow' } }), route),
      done(110),
    ],
  },
  {
    name: 'the old revision stops before the new one starts',
    seconds: 200,
    events: [
      apply(0, 'one', { strategy: 'Immediate' }),
      apply(60, 'two', { strategy: 'Immediate', capacity: { mode: 'Recreate' } }),
    ],
  },
  {
    name: 'an older revision returns in three steps',
    seconds: 420,
    events: [
      apply(0, 'one', undefined, route),
      done(5),
      apply(60, 'two', canary(short), route),
      apply(240, 'one', canary(short), route),
    ],
  },
  {
    name: 'an older revision is pinned',
    seconds: 480,
    events: [
      apply(0, 'one', undefined, route),
      done(5),
      apply(60, 'two', canary(short), route),
      does(240, 'pin one', (stage) =>
        stage.intend((status) => ({ pinRevision: status.history?.at(-1)?.revision ?? '' })),
      ),
      does(400, 'unpin', (stage) => stage.intend(() => ({}), ['pinRevision'])),
    ],
  },
  {
    name: 'another writer changes the weights of the route',
    seconds: 420,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      ...[110, 115, 120].map((atS) =>
        does(atS, 'another writer gives two all traffic', (stage) => giveAll(stage, candidate(stage))),
      ),
      done(130),
      does(200, 'another process takes over without the count of reverts', (stage) => stage.restart()),
    ],
  },
  {
    name: 'a Gateway does not apply the weight',
    seconds: 320,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      does(65, 'the Gateway stops updating', ({ cluster }) => {
        cluster.gatewayTakes = false;
      }),
      does(290, 'the Gateway updates again', ({ cluster }) => {
        cluster.gatewayTakes = true;
      }),
    ],
  },
  {
    name: 'the new stable loses its pods while the old ones are kept',
    seconds: 260,
    events: [
      apply(0, 'one'),
      done(5),
      apply(60, 'two', canary(short, { capacity: { retainStable: '2m' } })),
      does(150, 'the pods of two fail', ({ cluster }) => cluster.sick.add('two')),
    ],
  },
  {
    name: 'the steps change during a rollout',
    seconds: 300,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', undefined, route),
      apply(120, 'two', canary(withPause), route),
      does(160, 'resume its step', (stage) => stage.intend(() => ({ resumeStep: stepNow(stage) }))),
    ],
  },
  {
    name: 'the status is lost during a rollout',
    seconds: 360,
    events: [apply(0, 'one'), apply(60, 'two', canary(short)), does(110, 'the status is lost', loseStatus), done(200)],
  },
  {
    name: 'the status is lost while a route shares the traffic',
    seconds: 360,
    events: [
      apply(0, 'one', undefined, route),
      apply(60, 'two', canary(short), route),
      does(110, 'the status is lost', loseStatus),
      done(200),
    ],
  },
];

function giveAll({ cluster }: Stage, revision: string): void {
  const stored = cluster.objects.get('HTTPRoute/ranker');
  const spec = JSON.parse(JSON.stringify(stored?.['spec'] ?? {})) as {
    rules: { backendRefs: { name: string; weight: number }[] }[];
  };
  for (const backend of spec.rules.flatMap(({ backendRefs }) => backendRefs))
    backend.weight = backend.name.endsWith(revision) ? 100 : 0;
  if (stored !== undefined)
    cluster.objects.set('HTTPRoute/ranker', {
      ...stored,
      metadata: {
        ...stored.metadata,
        generation: (stored.metadata.generation ?? 0) + 1,
        resourceVersion: `${stored.metadata.resourceVersion}1`,
      },
      spec,
    });
}

function loseStatus({ cluster }: Stage): void {
  const { status: _, ...model } = cluster.objects.get('OnnxModel/ranker') ?? {
    apiVersion: '',
    kind: '',
    metadata: { name: '' },
  };
  cluster.objects.set('OnnxModel/ranker', model);
}
