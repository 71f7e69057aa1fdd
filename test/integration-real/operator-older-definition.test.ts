/**
 * The operator's process on an API server that has an older CRD. The API server refuses the operator's status writes:
 * invalid values with 422, unknown fields with 400. The operator backs off, does not create children meanwhile, and
 * continues after an upgrade of the CRD.
 *
 * Needs KUBEBUILDER_ASSETS. No controller manager runs, so no pods are created.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { customResourceDefinition } from '../../api/onnxmodel.ts';
import { KubeApi, type Json } from '../conformance/kube/api.ts';
import { eventually } from '../support/eventually.ts';
import { RealApiServer } from '../support/real-api-server.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const main = join(import.meta.dirname, '..', '..', 'operator', 'main.ts');
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const models = '/apis/onnx-operator.dev/v1alpha1/namespaces/default/onnxmodels';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const children = [
  '/apis/apps/v1/namespaces/default/controllerrevisions',
  deployments,
  '/api/v1/namespaces/default/services',
];
const waitMs = 60_000;
/** Tolerance for the precision of timers and of the audit log. */
const toleranceMs = 100;

/** Changes that turn the current status schema into an older one, and the code of the refusal (absent: 422). */
const older: readonly (readonly [name: string, change: (status: Json) => void, code?: number])[] = [
  [
    'lacks a field',
    (status) => {
      delete status.properties.ready;
    },
    400,
  ],
  [
    'knows fewer phases',
    (status) => {
      status.properties.phase.enum = ['Stable', 'Failed'];
    },
  ],
  [
    'requires a field that is no longer written',
    ({ properties: { rollout } }) => {
      rollout.required = ['summary'];
      rollout.properties.summary = { type: 'string' };
    },
  ],
  [
    'has another type of a field',
    (status) => {
      status.properties.replicas = { type: 'string' };
    },
  ],
];

describe('an operator that is newer than the CRD, on a real API server', function () {
  this.timeout(240_000);
  let server: RealApiServer;
  let api: KubeApi;
  let operator: ChildProcess | undefined;
  let log = '';

  before(async function () {
    if (assets === undefined) {
      console.log('    skipped: KUBEBUILDER_ASSETS is not set');
      return this.skip();
    }
    server = await RealApiServer.start(assets);
    api = new KubeApi(readFileSync(server.kubeconfig, 'utf8'));
  });
  afterEach(async () => {
    if (operator === undefined) return;
    operator.kill('SIGTERM');
    await once(operator, 'exit');
    operator = undefined;
    log = '';
  });
  after(async () => {
    await api?.close();
    await server?.stop();
  });

  for (const [index, [name, change, code = 422]] of older.entries()) {
    it(`backs off and creates no children when the CRD ${name}; continues after the upgrade`, async () => {
      const model = `ranker-of-${index}`;
      const today = customResourceDefinition('published') as Json;
      const before = structuredClone(today);
      for (const version of before.spec.versions) change(version.schema.openAPIV3Schema.properties.status);
      await define(before);
      startOperator();
      const spec = { model: { uri: 'https://models.example/m.onnx' } };
      const made = await api.post(models, {
        apiVersion: 'onnx-operator.dev/v1alpha1',
        kind: 'OnnxModel',
        metadata: { name: model },
        spec,
      });
      assert.equal(made.status, 201, made.text);

      const tries = await eventually(
        'four refusals',
        async () => {
          const times = await refusals(model, code);
          return times.length >= 4 ? times : undefined;
        },
        waitMs,
      );
      const pausesMs = tries.slice(1, 4).map((at, i) => at - (tries[i] ?? 0));
      const areLongEnough = [1_000, 2_000, 4_000].every((leastMs, i) => (pausesMs[i] ?? 0) >= leastMs - toleranceMs);
      assert.ok(areLongEnough, `pauses of ${pausesMs.join(', ')} ms`);
      assert.match(log, /"msg":"the API server refused the status"/);
      for (const path of children) assert.deepEqual(named(await api.get(path), model), [], path);

      await define(today);
      await eventually(
        'the status',
        async () => (await api.get(`${models}/${model}`)).body.status?.candidate?.revision !== undefined,
        waitMs,
      );
      await eventually('the Deployment', async () => named(await api.get(deployments), model).length === 1, waitMs);
      const afterwards = (await refusals(model, code)).length;
      assert.ok(afterwards <= 5, `${afterwards} refusals`);
    });
  }

  async function define(definition: Json): Promise<void> {
    const path = `${definitions}/${definition.metadata.name}`;
    const answer = await api.patch(`${path}?fieldManager=test&force=true`, 'apply', definition);
    assert.ok(answer.status < 300, answer.text);
    await eventually('models to be served', async () => (await api.get(models)).status === 200, waitMs);
  }

  function startOperator(): void {
    operator = spawn(
      process.execPath,
      [main, '--kubeconfig', server.kubeconfig, '--listen', 'off', '--runtime-image', 'runtime:1'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    operator.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
  }

  /** Times at which the model's status was refused with this code, in milliseconds. */
  async function refusals(model: string, code: number): Promise<readonly number[]> {
    const entries = (await readFile(server.auditLog, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Json);
    const statuses = entries.filter(({ objectRef }) => objectRef?.name === model && objectRef.subresource === 'status');
    const refused = statuses.filter(({ responseStatus }) => responseStatus?.code === code);
    return refused.map(({ requestReceivedTimestamp }) => Date.parse(requestReceivedTimestamp as string));
  }
});

function named({ body }: { readonly body: Json }, model: string): readonly string[] {
  return (body.items as Json[]).map(({ metadata }) => metadata.name as string).filter((name) => name.startsWith(model));
}
