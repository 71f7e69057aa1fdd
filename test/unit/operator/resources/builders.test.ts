/** The complete output of every builder, compared with golden YAML files. */
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import type { Resolved } from '../../../../api/last-words.ts';
import { sorted } from '../../../../lib/json.ts';
import { podTemplate } from '../../../../operator/resources/deployment.ts';
import { desiredState } from '../../../../operator/reconcile/desired-state.ts';
import { configMap, controllerRevision, readControllerRevision } from '../../../../operator/resources/revisions.ts';
import type { Decision } from '../../../../operator/rollout/state.ts';
import { assertGolden } from '../../../support/golden.ts';
import { given } from '../../../support/given.ts';

const resolved: Resolved = {
  digest: `sha256:${'ab'.repeat(32)}`,
  bytes: 90_000_000,
  signature: 'f'.repeat(64),
  opset: 17,
  precision: 'INT8',
  provider: 'CPU',
  memoryEstimateBytes: 2 ** 27,
};

const variants: readonly { name: string; spec: Partial<OnnxModelSpec>; resolved?: Resolved }[] = [
  { name: 'smallest', spec: {} },
  {
    name: 'everything',
    resolved,
    // prettier-ignore
    spec: {
      model: { uri: 'pvc://models/minilm/', digest: resolved.digest,
        variants: [{ precision: 'INT8', path: 'model.int8.onnx' }], graphs: [{ name: 'model', path: 'encoder.onnx' }],
        task: 'Embedding', embedding: { pooling: 'Mean', maxTokens: 256 } },
      execution: { providers: [{ name: 'CUDA', options: { device_id: '0' } }, { name: 'CPU' }], fallbackPolicy: 'Warn',
        precision: 'INT8', profile: 'Latency', workers: 2, sessionConfig: { 'session.set_denormal_as_zero': '1' } },
      batching: { maxBatchSize: 16, maxQueueDelay: '5ms', maxQueueDepth: 64 },
      memory: { limit: '2Gi', arena: 'Off' },
      resources: { requests: { cpu: '1' }, limits: { cpu: 2, 'nvidia.com/gpu': '1' } },
      warmup: { requests: 20, timeout: '15m' },
      runtime: { image: 'registry.example/runtime:cuda' },
      template: { metadata: { labels: { team: 'ranking' }, annotations: { note: 'x' } },
        spec: { nodeSelector: { pool: 'gpu' }, tolerations: [
          { key: 'gpu', operator: 'Exists' }], imagePullSecrets: [{ name: 'pull' }] } },
    },
  },
];

describe('desiredState', () => {
  for (const { name, spec, resolved: known } of variants) {
    it(`builds what test/golden/${name}.yaml shows`, () => {
      const model = given.model(spec);
      const record = given.record(model, known === undefined ? {} : { resolved: known });
      const decision: Decision = {
        next: { phase: 'Stable', stable: record.revision },
        serve: record.revision,
        run: [{ revision: record.revision, replicas: 2 }],
        reason: 'UpToDate',
        message: '',
      };
      const manifests = desiredState(model, decision, new Map([[record.revision, record]]));
      assertGolden(
        `golden/${name}.yaml`,
        manifests.map((manifest) => stringify(manifest, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n'),
      );
    });
  }

  it('builds the same ConfigMap from a new record and from one that the API server sorted', () => {
    for (const { spec } of variants) {
      const model = given.model(spec);
      const record = given.record(model);
      const stored = { ...record, spec: sorted(record.spec) };
      assert.deepEqual(configMap(model, record), configMap(model, stored));
    }
  });

  // prettier-ignore
  const sidecars: readonly (readonly [sentence: string, said: object | undefined, gets: object])[] = [
    ['the default amounts without amounts in the spec', undefined,
      { requests: { cpu: '10m', memory: '96Mi' }, limits: { cpu: '500m', memory: '192Mi' } }],
    ['the amounts of the spec, and defaults for the rest', { requests: { cpu: '100m' }, limits: { memory: '128Mi' } },
      { requests: { cpu: '100m', memory: '96Mi' }, limits: { cpu: '500m', memory: '128Mi' } }],
    ['no request above a lower limit', { limits: { memory: '96Mi', cpu: '5m' } },
      { requests: { cpu: '5m', memory: '96Mi' }, limits: { cpu: '5m', memory: '96Mi' } }],
    ['no limit below a higher request', { requests: { memory: '1Gi', cpu: 1 } },
      { requests: { cpu: 1, memory: '1Gi' }, limits: { cpu: 1, memory: '1Gi' } }],
  ];
  for (const [sentence, said, gets] of sidecars) {
    it(`gives the sidecar ${sentence}`, () => {
      const model = given.model(said === undefined ? {} : { runtime: { sidecar: { resources: said } } });
      const { spec } = podTemplate(model, given.record(model)) as {
        readonly spec: { readonly containers: readonly { readonly name: string; readonly resources: object }[] };
      };
      assert.deepEqual(spec.containers.find(({ name }) => name === 'sidecar')?.resources, gets);
    });
  }

  it('builds no children for a revision without a record', () => {
    const decision: Decision = {
      next: { phase: 'Stable', stable: 'aaaaaaaaaa' },
      serve: 'aaaaaaaaaa',
      run: [{ revision: 'aaaaaaaaaa', replicas: 2 }],
      reason: 'UpToDate',
      message: '',
    };
    assert.deepEqual(
      desiredState(given.model(), decision, new Map()).map((m) => m.kind),
      ['Service'],
    );
  });

  it('has the object that moves traffic last', () => {
    const model = given.model();
    const record = given.record(model);
    const decision: Decision = {
      next: { phase: 'Stable', stable: record.revision },
      serve: record.revision,
      run: [{ revision: record.revision, replicas: 2 }],
      reason: 'UpToDate',
      message: '',
    };
    assert.deepEqual(
      desiredState(model, decision, new Map([[record.revision, record]]))
        .map((m) => `${m.kind}/${m.metadata.name}`)
        .at(-1),
      'Service/ranker',
    );
  });
});

describe('the objects that move traffic', () => {
  const model = given.model({
    traffic: {
      router: 'HTTPRoute',
      parentRefs: [{ name: 'public', namespace: 'edge', sectionName: 'http' }],
      hostnames: ['ranker.example.com'],
    },
  });
  const run = ['aaaaaaaaaa', 'bbbbbbbbbb'].map((revision) => ({ revision, replicas: 2 }));
  const records = new Map(run.map(({ revision }) => [revision, given.record(model, { revision })]));
  const base = { next: { phase: 'Stable', stable: 'aaaaaaaaaa' }, run, reason: 'UpToDate', message: '' } as const;
  // prettier-ignore
  const rows: readonly { name: string; router: 'Service' | 'HTTPRoute'; decision: Decision }[] = [
    { name: 'traffic-service-at-rest', router: 'Service', decision: { ...base, serve: 'aaaaaaaaaa' } },
    { name: 'traffic-service-shared', router: 'Service',
      decision: { ...base, serve: 'aaaaaaaaaa', canary: { revision: 'bbbbbbbbbb', weight: 5 } } },
    { name: 'traffic-route-at-rest', router: 'HTTPRoute',
      decision: { ...base, serve: 'aaaaaaaaaa', run: run.slice(0, 1) } },
    { name: 'traffic-route-both-there', router: 'HTTPRoute', decision: { ...base, serve: 'bbbbbbbbbb' } },
    { name: 'traffic-route-shared', router: 'HTTPRoute',
      decision: { ...base, serve: 'aaaaaaaaaa', canary: { revision: 'bbbbbbbbbb', weight: 5 } } },
  ];
  for (const { name, router, decision } of rows) {
    it(`are equal to test/golden/${name}.yaml`, () => {
      const asked = router === 'HTTPRoute' ? model : given.model();
      const moving = desiredState(asked, decision, records).filter(
        ({ metadata }) => metadata.labels['onnx-operator.dev/revision'] === undefined,
      );
      assertGolden(
        `golden/${name}.yaml`,
        moving.map((manifest) => stringify(manifest, { aliasDuplicateObjects: false, lineWidth: 0 })).join('---\n'),
      );
    });
  }

  it('do not name a revision without a record, which has no Service', () => {
    const [, route] = desiredState(model, { ...base, serve: 'aaaaaaaaaa' }, new Map([...records].slice(0, 1))).slice(
      -2,
    );
    const spec = route?.['spec'] as { rules: { backendRefs: { name: string }[] }[] } | undefined;
    assert.deepEqual(
      spec?.rules.map((rule) => rule.backendRefs.map(({ name }) => name)),
      [['ranker-aaaaaaaaaa']],
    );
  });
});

describe('readControllerRevision', () => {
  it('reads back what controllerRevision wrote', () => {
    const record = given.record(given.model(), { resolved });
    const read = readControllerRevision(controllerRevision(given.model(), record));
    assert.deepEqual(read, { ...record, template: podTemplate(given.model(), record) });
  });

  it('keeps the stored pod template, although a newer operator builds another one', () => {
    const template = { metadata: { labels: { of: 'an older operator' } }, spec: { containers: [] } };
    const [, , , deployed] = desiredState(
      given.model(),
      {
        next: { phase: 'Stable', stable: 'x' },
        serve: null,
        run: [{ revision: 'x', replicas: 2 }],
        reason: 'UpToDate',
        message: '',
      },
      new Map([['x', given.record(given.model(), { revision: 'x', template })]]),
    );
    // The builder adds these fields with Kubernetes' defaults. The drift suite checks that this does not change a
    // stored object.
    const defaults = {
      hostNetwork: false,
      hostPID: false,
      hostIPC: false,
      dnsPolicy: 'ClusterFirst',
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
    };
    assert.deepEqual((deployed!['spec'] as { template: unknown }).template, {
      ...template,
      spec: { ...defaults, ...template.spec },
    });
  });

  const notOurs: readonly { name: string; change: object }[] = [
    { name: 'without a label', change: { metadata: { name: 'x' } } },
    { name: 'with data of another schema', change: { data: { schema: 2, spec: {} } } },
    { name: 'without data', change: { data: undefined } },
  ];
  for (const { name, change } of notOurs) {
    it(`is undefined for an object ${name}`, () =>
      assert.equal(
        readControllerRevision({ ...controllerRevision(given.model(), given.record(given.model())), ...change }),
        undefined,
      ));
  }
});
