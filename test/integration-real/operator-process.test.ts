/**
 * The operator's process against a real API server. It creates the children of a model, recovers after the API server
 * and etcd were killed, elects a leader between two replicas, and writes nothing while nothing changes.
 *
 * Needs KUBEBUILDER_ASSETS. No controller manager runs, so no pods are created and a revision stays in Preparing.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { customResourceDefinition, type OnnxModel } from '../../api/onnxmodel.ts';
import type { Api } from '../conformance/onnxmodel/suite.ts';
import { eventually } from '../support/eventually.ts';
import { openApi } from '../support/kube-api.ts';
import { RealApiServer } from '../support/real-api-server.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const root = join(import.meta.dirname, '..', '..');
const models = '/apis/onnx-operator.dev/v1alpha1/namespaces/default/onnxmodels';
const waitMs = 60_000;

type AuditEntry = {
  readonly verb: string;
  readonly userAgent?: string;
  readonly objectRef?: { readonly resource?: string; readonly name?: string };
  readonly requestReceivedTimestamp: string;
};

describe('the operator against a real API server', function () {
  this.timeout(240_000);
  let server: RealApiServer;
  let api: Api;
  let close: () => Promise<void>;
  const operators: ChildProcess[] = [];

  function startOperator(): ChildProcess {
    const child = spawn(
      process.execPath,
      [
        join(root, 'operator/main.ts'),
        '--kubeconfig',
        server.kubeconfig,
        '--listen',
        'off',
        '--runtime-image',
        'runtime:1',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    operators.push(child);
    return child;
  }

  /**
   * Waits until the status has a candidate (other than the revision `not`) and its Deployment exists.
   * @returns the candidate's revision
   */
  async function candidate(name: string, not?: string): Promise<string> {
    let revision: string | undefined;
    await eventually(
      `a candidate of ${name}`,
      async () => {
        const { body } = await api('GET', `${models}/${name}`);
        revision = (body as unknown as OnnxModel).status?.candidate?.revision;
        if (revision === undefined || revision === not) return false;
        return (await api('GET', `/apis/apps/v1/namespaces/default/deployments/${name}-${revision}`)).status === 200;
      },
      waitMs,
    );
    return revision ?? '';
  }

  async function applyModel(name: string, maxBatchSize: number): Promise<void> {
    const object = {
      apiVersion: 'onnx-operator.dev/v1alpha1',
      kind: 'OnnxModel',
      metadata: { name },
      spec: { model: { uri: 'https://models.example/m.onnx' }, batching: { maxBatchSize } },
    };
    const { status, body } = await api(
      'PATCH',
      `${models}/${name}?fieldManager=kubectl&fieldValidation=Strict`,
      object,
      'application/apply-patch+yaml',
    );
    assert.ok(status < 300, body.message ?? '');
  }

  before(async function () {
    if (assets === undefined) {
      console.log('    skipped: KUBEBUILDER_ASSETS is not set');
      return this.skip();
    }
    server = await RealApiServer.start(assets);
    ({ api, close } = await openApi(server.kubeconfig));
    const crd = customResourceDefinition('published');
    await api('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
    await eventually('the CRD', async () => (await api('GET', models)).status === 200, waitMs);
    startOperator();
    await applyModel('ranker', 1);
  });

  after(async () => {
    for (const child of operators.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await close?.();
    await server?.stop();
  });

  it('creates the children of a revision', async () => {
    const revision = await candidate('ranker');
    for (const path of [
      `/apis/apps/v1/namespaces/default/controllerrevisions/ranker-${revision}`,
      `/api/v1/namespaces/default/configmaps/ranker-${revision}`,
      `/api/v1/namespaces/default/services/ranker-${revision}`,
      '/api/v1/namespaces/default/services/ranker',
    ]) {
      // Wait for each child: the operator writes the status first, then the children one after the other.
      await eventually(path, async () => (await api('GET', path)).status === 200, waitMs);
    }
  });

  it('does not cause a conflict for a second kubectl apply', async () => {
    await applyModel('ranker', 2);
    await candidate('ranker');
  });

  it('writes only its Lease without a change', async () => {
    await eventually('quiet', async () => (await writesOfLast(4000)).length === 0, waitMs);
    const since = Date.now();
    await eventually(
      'five renewals',
      async () =>
        (await operatorEntries(since)).filter(
          ({ verb, objectRef }) => verb === 'update' && objectRef?.resource === 'leases',
        ).length >= 5,
      waitMs,
    );
    assert.deepEqual((await operatorEntries(since)).filter(isWrite), []);
  });

  for (const component of ['kube-apiserver', 'etcd'] as const) {
    it(`continues after ${component} was killed and restarted`, async () => {
      const before = await candidate('ranker');
      await server.kill(component);
      await server.revive(component);
      await eventually(
        'the API',
        async () => (await api('GET', models).catch(() => ({ status: 0 }))).status === 200,
        waitMs,
      );
      await applyModel('ranker', component === 'etcd' ? 4 : 3);
      assert.notEqual(await candidate('ranker', before), before);
    });
  }

  it('is replaced by a second replica when it is killed, and exits with 0 on SIGTERM', async () => {
    const [first] = operators;
    const second = startOperator();
    first?.kill('SIGKILL');
    await applyModel('second', 1);
    await candidate('second');
    second.kill('SIGTERM');
    const [code] = (await once(second, 'exit')) as [number | null];
    assert.equal(code, 0);
  });

  async function operatorEntries(sinceMs: number): Promise<readonly AuditEntry[]> {
    const lines = (await readFile(server.auditLog, 'utf8')).trim().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as AuditEntry);
    return entries.filter(
      ({ userAgent, requestReceivedTimestamp }) =>
        (userAgent ?? '').includes('onnx-operator') && Date.parse(requestReceivedTimestamp) >= sinceMs,
    );
  }

  async function writesOfLast(ms: number): Promise<readonly AuditEntry[]> {
    return (await operatorEntries(Date.now() - ms)).filter(isWrite);
  }
});

function isWrite({ verb, objectRef }: AuditEntry): boolean {
  return !['get', 'list', 'watch'].includes(verb) && objectRef?.resource !== 'leases';
}
