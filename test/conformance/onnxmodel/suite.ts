/**
 * What an API server must do with OnnxModels: accept the CRD and good manifests, and refuse bad ones with a message
 * that names the field. Runs against local mode and against a real kube-apiserver.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { customResourceDefinition } from '../../../api/onnxmodel.ts';
import type { SchemaStage } from '../../../api/schema/builder.ts';

/**
 * One request to the server under test.
 * @param path with its query
 */
export type Api = (
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
  contentType?: string,
) => Promise<{ readonly status: number; readonly body: Answer }>;
type Answer = {
  readonly message?: string;
  readonly spec?: Record<string, unknown>;
  readonly status?: Record<string, unknown>;
  readonly metadata?: Record<string, unknown>;
};

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const collection = (namespace: string): string => `/apis/onnx-operator.dev/v1alpha1/namespaces/${namespace}/onnxmodels`;
const root = join(import.meta.dirname, '..', '..', '..');

const base = (spec: object, name = 'ranker'): object => ({
  apiVersion: 'onnx-operator.dev/v1alpha1',
  kind: 'OnnxModel',
  metadata: { name },
  spec,
});
const https = { uri: 'https://models.example/m.onnx' };
const digest = `sha256:${'0'.repeat(64)}`;

// prettier-ignore
const good: readonly { name: string; spec: object }[] = [
  { name: 'the smallest spec', spec: { model: https } },
  { name: 'a file in an npm package', spec: { model: { uri: 'npm:@scope/pkg@1.2.3/assets/m.onnx', digest } } },
  { name: 'a folder in a claim', spec: { model: { uri: 'pvc://models/minilm/', task: 'Embedding' } } },
  { name: 'http with a digest', spec: { model: { uri: 'http://models.example/m.onnx', digest } } },
  { name: 'a ready-made precision', spec: {
      model: { uri: 'pvc://m/x/', variants: [{ precision: 'INT8',
      path: 'i8.onnx' }] }, execution: { precision: 'INT8' } } },
  { name: 'durations and limits of every form',
    spec: { model: https, memory: { limit: '1.5Gi' },
      warmup: { timeout: '1m30s' }, rollout: { progressDeadline: '1.5h' } } },
  { name: 'any other signature', spec: { model: { ...https, schemaPolicy: 'Any' } } },
  { name: 'a golden set in a ConfigMap', spec: golden(
      { configMapRef: { name: 'set' }, metric: 'Cosine', min: '0.99' }) },
  { name: 'a golden set at a URI', spec: golden(
      { uri: 'https://x/golden.jsonl', digest, metric: 'MaxAbsError', max: '0.02' }) },
  { name: 'a golden set in the model\'s claim',
    spec: golden({ uri: 'pvc://models/golden.bin', digest, metric: 'WordErrorRate' }) },
  { name: 'a limit for generated inputs', spec: golden({ metric: 'Cosine', min: '0.5' }) },
  { name: 'traffic by a route', spec: { model: https,
      traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'public', namespace: 'edge', sectionName: 'http' }],
      hostnames: ['ranker.example.com', '*.example.org'] } } },
  { name: 'traffic by pods, explicit or by default', spec: { model: https, traffic: {} } },
  { name: 'CPU as a number', spec: { model: https, resources: { limits: { cpu: 2 } } } },
  { name: 'a memory limit as a number of bytes', spec: { model: https, memory: { limit: 1_073_741_824 } } },
  ...['.5', '5.', '5e-1', '5E-1', '1e3', '1E9', '1e+3', '1E', '+1', '100u', '100n', '1k', '1Ki', '.5Gi', '9E',
      '0'].map((cpu) => ({ name: `the amount ${cpu}`, spec: { model: https, resources: { requests: { cpu } } } })),
  ...['.5Gi', '1E9', '+1Gi', '1e9', '134217728k'].map(
    (limit) => ({ name: `the memory limit ${limit}`, spec: { model: https, memory: { limit } } })),
  { name: 'a request that equals its limit in another unit',
    spec: { model: https, resources: { requests: { cpu: '1', 'nvidia.com/gpu': 1 },
      limits: { cpu: '1000m', 'nvidia.com/gpu': '1e0' } } } },
  { name: 'gates of a model with little traffic',
    spec: gates({ confidence: 'Quick', latency: [
      { name: 'p95', quantile: '0.95', maxIncrease: '15%', minDetectable: '100.5%',
      eachClass: true }], errors: { maxIncrease: '1%', minDetectable: '1%' } }) },
  { name: 'resources of the sidecar', spec: { model: https,
      runtime: { sidecar: { resources: { requests: { cpu: '100m' }, limits: { memory: '128Mi' } } } } } },
];

function gates(spec: object): object {
  return { model: https, rollout: { strategy: 'Canary', gates: spec } };
}

/** A latency gate at p95. */
function p95(gate: object): object {
  return gates({ latency: [{ name: 'p95', quantile: '0.95', ...gate }] });
}

function golden(gate: object): object {
  return { model: https, rollout: { gates: { golden: gate } } };
}

// prettier-ignore
const bad: readonly { name: string; spec: object; modelName?: string; says: RegExp }[] = [
  { name: 'no model', spec: {}, says: /spec\.model: Required value/ },
  { name: 'no uri', spec: { model: {} }, says: /spec\.model\.uri: Required value/ },
  { name: 'an unknown scheme', spec: { model: { uri: 'ftp://x/y' } }, says: /spec\.model\.uri/ },
  { name: 'an npm version that is a range',
    spec: { model: { uri: 'npm:pkg@^1.0.0/m.onnx' } }, says: /spec\.model\.uri/ },
  { name: 'http without a digest', spec: { model: { uri: 'http://x/y' } }, says: /spec\.model\.digest.*digest/ },
  { name: 'a digest that is too short', spec: {
      model: { ...https, digest: 'sha256:00' } }, says: /spec\.model\.digest/ },
  { name: 'a path that leaves the folder', spec: {
      model: { uri: 'pvc://m/x/', graphs: [{ name: 'model',
      path: '../secret' }] } }, says: /spec\.model\.graphs\[0\]\.path/ },
  { name: 'an https folder without a list', spec: { model: { uri: 'https://x/folder/' } },
    says: /spec\.model\.files.*model\.files is required/ },
  { name: 'variants beside a file', spec: { model: { ...https, variants: [{ precision: 'INT8', path: 'a.onnx' }] } },
    says: /spec\.model\.uri.*end model\.uri with/ },
  { name: 'an embedding section for tensors', spec: { model: { uri: 'pvc://m/x/', embedding: {} } },
    says: /spec\.model\.embedding.*task Embedding/ },
  { name: 'an embedding model that is one file',
    spec: { model: { ...https, task: 'Embedding' } }, says: /spec\.model\.uri.*tokenizer/ },
  { name: 'a precision without a variant', spec: { model: https,
      execution: { precision: 'INT8' } }, says: /spec\.execution\.precision.*variant/ },
  { name: 'a provider twice', spec: { model: https, execution: { providers: [{ name: 'CPU' }, { name: 'CPU' }] } },
    says: /spec\.execution\.providers.*twice/ },
  { name: 'an unknown provider', spec: { model: https, execution: { providers: [{ name: 'NPU' }] } },
    says: /spec\.execution\.providers\[0\]\.name: Unsupported value: "NPU"/ },
  { name: 'memory among the resources', spec: { model: https, resources: { limits: { memory: '1Gi' } } },
    says: /spec\.resources\.limits.*spec\.memory\.limit/ },
  { name: 'a memory limit in thousandths of a byte',
    spec: { model: https, memory: { limit: '512m' } }, says: /spec\.memory\.limit.*not m/ },
  { name: 'a route without a Gateway', spec: { model: https, traffic: { router: 'HTTPRoute' } },
    says: /spec\.traffic\.parentRefs.*parentRefs is required/ },
  { name: 'a Gateway without a route', spec: { model: https, traffic: { parentRefs: [{ name: 'public' }] } },
    says: /spec\.traffic\.router.*parentRefs and hostnames are only allowed with router HTTPRoute/ },
  { name: 'hostnames by pods', spec: { model: https, traffic: { router: 'Service', hostnames: ['a.example.com'] } },
    says: /spec\.traffic\.router.*parentRefs and hostnames are only allowed with router HTTPRoute/ },
  { name: 'no Gateway at all in the list', spec: { model: https,
      traffic: { router: 'HTTPRoute', parentRefs: [] } }, says: /spec\.traffic\.parentRefs.*at least 1 items/ },
  { name: 'an invalid hostname', spec: { model: https,
      traffic: { router: 'HTTPRoute', parentRefs: [{ name: 'public' }],
      hostnames: ['http://a'] } }, says: /spec\.traffic\.hostnames\[0\]/ },
  { name: 'a warm-up time of 0', spec: { model: https, warmup: { timeout: '0s' } },
    says: /spec\.warmup\.timeout.*must be above 0s/ },
  { name: 'more than a day to warm up', spec: { model: https, warmup: { timeout: '24h1ms' } },
    says: /spec\.warmup\.timeout.*timeout must be at most 24h \(given: / },
  { name: 'more than a day in the queue', spec: { model: https, batching: { maxQueueDelay: '25h' } },
    says: /spec\.batching\.maxQueueDelay.*maxQueueDelay must be at most 24h/ },
  { name: 'a start-up time of 0', spec: { model: https, rollout: { progressDeadline: '0s' } },
    says: /spec\.rollout\.progressDeadline.*must be above 0s/ },
  { name: 'a request above its limit', spec: { model: https,
      resources: { requests: { cpu: 2 }, limits: { cpu: '500m' } } },
    says: /spec\.resources\.requests.*cpu request 2 exceeds its limit 500m/ },
  { name: 'ephemeral storage above its limit',
    spec: { model: https, resources: { requests: { 'ephemeral-storage': '1Gi' },
      limits: { 'ephemeral-storage': '1G' } } },
    says: /ephemeral-storage request 1Gi exceeds its limit 1G/ },
  { name: 'a device without a limit', spec: { model: https, resources: { requests: { 'nvidia.com/gpu': 1 } } },
    says: /spec\.resources\.requests.*cannot be overcommitted/ },
  { name: 'fewer devices than the limit', spec: { model: https,
      resources: { requests: { 'nvidia.com/gpu': 1 },
      limits: { 'nvidia.com/gpu': 2 } } }, says: /cannot be overcommitted/ },
  { name: 'half a device', spec: { model: https, resources: { limits: { 'nvidia.com/gpu': '500m' } } },
    says: /spec\.resources\.limits.*must be integers/ },
  { name: 'a resource that containers cannot have', spec: { model: https, resources: { limits: { cores: 2 } } },
    says: /spec\.resources\.limits.*allowed: cpu, memory/ },
  { name: 'a sidecar that could not start',
    spec: { model: https, runtime: { sidecar: { resources: { limits: { memory: '64Mi' } } } } },
    says: /spec\.runtime\.sidecar\.resources\.limits.*at least 96Mi \(given: / },
  { name: 'a request of the sidecar above its limit',
    spec: { model: https, runtime: { sidecar: { resources: { requests: { cpu: 1 }, limits: { cpu: '.5' } } } } },
    says: /cpu request 1 exceeds its limit \.5/ },
  { name: 'half a core without quotes', spec: { model: https,
      resources: { limits: { cpu: 0.5 } } }, says: /spec\.resources\.limits\.cpu/ },
  ...['1K', '1GiB', '1e', '--1', '1 Gi', '-1', 'Gi', '1,5', '0x10'].map(
    (cpu) => ({ name: `the amount ${cpu}`, spec: { model: https,
      resources: { requests: { cpu } } }, says: /spec\.resources\.requests\.cpu/ })),
  { name: 'a negative number of cores', spec: { model: https,
      resources: { limits: { cpu: -1 } } }, says: /spec\.resources\.limits/ },
  { name: 'a batch size of 0', spec: { model: https, batching: { maxBatchSize: 0 } },
    says: /spec\.batching\.maxBatchSize.*greater than or equal to 1/ },
  { name: 'a delay without a unit', spec: { model: https,
      batching: { maxQueueDelay: '5' } }, says: /spec\.batching\.maxQueueDelay/ },
  { name: 'text for a number', spec: { model: https, replicas: 'two' },
    says: /spec\.replicas.*must be of type integer/ },
  { name: 'a negative number of replicas', spec: { model: https,
      replicas: -1 }, says: /spec\.replicas.*greater than or equal to 0/ },
  { name: 'a label of ours', spec: { model: https,
      template: { metadata: { labels: { 'onnx-operator.dev/revision': 'x' } } } },
    says: /spec\.template\.metadata\.labels.*the operator sets them/ },
  { name: 'a golden set from two places', spec: golden(
      { configMapRef: { name: 'set' }, uri: 'https://x/y', digest,
      metric: 'Cosine' }), says: /gates\.golden\.uri.*not both/ },
  { name: 'a golden set at a URI without a digest', spec: golden({ uri: 'https://x/y', metric: 'Cosine' }),
    says: /gates\.golden\.digest.*must be set together/ },
  { name: 'a digest of no golden set', spec: golden({ configMapRef: { name: 'set' }, digest, metric: 'Cosine' }),
    says: /gates\.golden\.digest.*must be set together/ },
  { name: 'a golden set that is a folder', spec: golden(
      { uri: 'https://x/y/', digest, metric: 'Cosine' }), says: /gates\.golden\.uri/ },
  { name: 'a golden set without a metric', spec: golden({ configMapRef: { name: 'set' } }),
    says: /gates\.golden\.metric: Required value/ },
  { name: 'a min for an error', spec: golden(
      { configMapRef: { name: 'set' }, metric: 'MaxAbsError', min: '0.9',
      max: '1' }), says: /gates\.golden\.min.*min is not allowed with metric/ },
  { name: 'a max for a share', spec: golden({ configMapRef: { name: 'set' }, metric: 'Cosine', max: '0.9' }),
    says: /gates\.golden\.max.*max is only allowed with metric/ },
  { name: 'an error without a max', spec: golden({ configMapRef: { name: 'set' }, metric: 'MaxAbsError' }),
    says: /gates\.golden\.max.*MaxAbsError requires max/ },
  { name: 'an accuracy without a min', spec: golden({ configMapRef: { name: 'set' }, metric: 'Accuracy' }),
    says: /gates\.golden\.min.*Accuracy requires min/ },
  { name: 'generated inputs with labels', spec: golden(
      { metric: 'Accuracy', min: '0.9' }), says: /gates\.golden\.metric.*metric Accuracy needs a golden set/ },
  { name: 'a cosine above 1', spec: golden(
      { configMapRef: { name: 'set' }, metric: 'Cosine', min: '1.1' }), says: /gates\.golden\.min/ },
  { name: 'an unknown confidence', spec: gates({ confidence: 'High' }),
    says: /gates\.confidence: Unsupported value: "High"/ },
  { name: 'a least for what is not compared', spec: p95({ max: '60ms', minDetectable: '50%' }),
    says: /latency\[0\]\.minDetectable.*requires maxIncrease/ },
  { name: 'a least below the limit', spec: p95({ maxIncrease: '15%', minDetectable: '9.5%' }),
    says: /latency\[0\]\.minDetectable.*at least maxIncrease/ },
  { name: 'a least without a percent sign', spec: p95({ maxIncrease: '15%', minDetectable: '50' }),
    says: /latency\[0\]\.minDetectable/ },
  { name: 'a least of errors for what is not compared', spec: gates({ errors: { max: '2%', minDetectable: '5%' } }),
    says: /errors\.minDetectable.*requires maxIncrease/ },
  { name: 'a least of errors below the limit', spec: gates({ errors: { maxIncrease: '1%', minDetectable: '0.5%' } }),
    says: /errors\.minDetectable.*at least maxIncrease/ },
  { name: 'a latency gate by the name of another',
    spec: gates({ latency: [{ name: 'errors', quantile: '0.95',
      maxIncrease: '15%' }] }), says: /latency\[0\]\.name.*names of other gates/ },
  { name: 'classes for a limit in milliseconds', spec: p95({ max: '60ms', eachClass: true }),
    says: /latency\[0\]\.eachClass.*only allowed with maxIncrease/ },
  { name: 'a field that does not exist', spec: { model: https,
      batchSize: 3 }, says: /unknown field "spec\.batchSize"/ },
  { name: 'a field that is only planned', spec: { model: https,
      autoscaling: { maxReplicas: 2 } }, says: /unknown field "spec\.autoscaling"/ },
  { name: 'a shadow step after a weight', spec: { model: https,
      rollout: { strategy: 'Canary', steps: [{ weight: 5 }, { shadow: { require: 'Pass' } }] } },
    says: /spec\.rollout\.steps.*shadow steps must come before the first weight/ },
  { name: 'a step of two kinds', spec: { model: https,
      rollout: { strategy: 'Canary', steps: [{ shadow: { require: 'Pass' }, pause: {} }] } },
    says: /spec\.rollout\.steps\[0\].*one of weight, analyze, shadow and pause/ },
  { name: 'too many probes', spec: { model: https, rollout: { probes: { perMinute: 61 } } },
    says: /spec\.rollout\.probes\.perMinute.*less than or equal to 60/ },
  { name: 'an unknown mode of probing', spec: { model: https, rollout: { probes: { mode: 'Never' } } },
    says: /spec\.rollout\.probes\.mode: Unsupported value: "Never"/ },
  { name: 'an unknown strategy', spec: { model: https, rollout: { strategy: 'Shadow' } },
    says: /spec\.rollout\.strategy: Unsupported value: "Shadow"/ },
  { name: 'a name that is too long', spec: { model: https },
    modelName: 'a'.repeat(41), says: /metadata\.name must be at most 40 lower-case letters/ },
  { name: 'a name that another model\'s revision may have', spec: { model: https },
    modelName: 'ranker-0123456789', says: /metadata\.name must not end in "-" and ten hex digits/ },
  { name: 'a name with a dot', spec: { model: https }, modelName: 'a.b',
    says: /metadata\.name must be at most 40 lower-case letters/ },
];

export function onnxModelSuite(open: () => Promise<{ readonly api: Api; readonly close: () => Promise<void> }>): void {
  let api: Api;
  let close: () => Promise<void>;
  const namespace = `om-${Math.random().toString(36).slice(2, 8)}`;

  async function install(stage: SchemaStage): Promise<void> {
    const crd = customResourceDefinition(stage);
    const applied = await api(
      'PATCH',
      `${crds}/${crd.metadata.name}?fieldManager=test&force=true&fieldValidation=Strict`,
      crd,
      'application/apply-patch+yaml',
    );
    assert.ok(applied.status < 300, applied.body.message ?? '');
    await established(crd.metadata.name);
  }

  /** Waits until the definition is established and its objects can be listed. */
  async function established(name: string): Promise<void> {
    for (let i = 0; i < 100; i += 1) {
      const { body } = await api('GET', `${crds}/${name}`);
      const conditions = (body.status?.['conditions'] ?? []) as readonly { type: string; status: string }[];
      const listed = await api('GET', collection(namespace));
      if (listed.status === 200 && conditions.some((c) => c.type === 'Established' && c.status === 'True')) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail('the CRD was not established');
  }

  const create = (object: object): ReturnType<Api> =>
    api('POST', `${collection(namespace)}?fieldValidation=Strict&dryRun=All`, object);

  before(async () => {
    ({ api, close } = await open());
    const made = await api('POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    });
    assert.equal(made.status, 201, made.body.message ?? '');
  });

  after(async () => {
    await api('DELETE', `/api/v1/namespaces/${namespace}`);
    await close();
  });

  describe('the published API', () => {
    before(() => install('published'));

    for (const { name, spec } of good) {
      it(`accepts ${name}`, async () => {
        const { status, body } = await create(base(spec));
        assert.equal(status, 201, body.message ?? '');
      });
    }

    for (const { name, spec, modelName, says } of bad) {
      it(`refuses ${name}`, async () => {
        const { status, body } = await create(base(spec, modelName));
        assert.ok(status === 422 || status === 400, `answered ${status}`);
        assert.match(body.message ?? '', says);
      });
    }

    const examples = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.yaml'));
    for (const example of examples) {
      it(`accepts examples/${example}`, async () => {
        for (const document of parseAllDocuments(readFileSync(join(root, 'examples', example), 'utf8'))) {
          const object = document.toJS() as { kind?: string };
          if (object.kind !== 'OnnxModel') continue;
          const { status, body } = await create(object);
          assert.equal(status, 201, body.message ?? '');
        }
      });
    }

    it('fills in what Kubernetes needs, and no field of the hashed part', async () => {
      const { body } = await create(base({ model: https }));
      assert.deepEqual(body.spec, { model: https, replicas: 1, revisionHistoryLimit: 5 });
      assert.equal((body.status ?? { observedGeneration: -1 })['observedGeneration'], -1);
    });

    it('scales by the scale subresource', async () => {
      const made = await api(
        'POST',
        `${collection(namespace)}?fieldValidation=Strict`,
        base({ model: https }, 'scaled'),
      );
      assert.equal(made.status, 201, made.body.message ?? '');
      const scaled = await api(
        'PATCH',
        `${collection(namespace)}/scaled/scale`,
        { spec: { replicas: 4 } },
        'application/merge-patch+json',
      );
      assert.equal(scaled.status, 200, scaled.body.message ?? '');
      const { body } = await api('GET', `${collection(namespace)}/scaled`);
      assert.equal(body.spec?.['replicas'], 4);
      assert.equal(body.metadata?.['generation'], 2);
    });
  });

  describe('the whole design', () => {
    it('passes the structural and cost checks, and accepts the manifest of the design', async () => {
      await install('whole');
      try {
        const manifest = parse(readFileSync(join(root, 'test/fixtures/onnxmodel-whole.yaml'), 'utf8')) as object;
        await acceptedWithin(() => create(manifest));
        const falling = structuredClone(manifest) as { spec: { rollout: { steps: object[] } } };
        falling.spec.rollout.steps = [{ weight: 50 }, { weight: 5 }];
        const { status, body } = await create(falling);
        assert.equal(status, 422);
        assert.match(body.message ?? '', /spec\.rollout\.steps.*weights must not decrease/);
      } finally {
        await install('published');
      }
    });
  });
}

/** Repeats the request until it is accepted, because the server may use the previous schema for a moment. */
async function acceptedWithin(request: () => ReturnType<Api>): Promise<void> {
  let last = '';
  for (let i = 0; i < 100; i += 1) {
    const { status, body } = await request();
    if (status === 201) return;
    last = body.message ?? String(status);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(last);
}
