/** Runs the recipes of docs/gitops.md with the real tools against local mode's API server. The test sets the status. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Claim } from '../../api/conditions.ts';
import { kubeTool, kubeToolsRunHere } from '../../scripts/kubectl.ts';
import type { NewObject } from '../../local/objects.ts';
import { eventually } from '../support/eventually.ts';
import { ModelApi } from '../support/model-api.ts';

const root = join(import.meta.dirname, '..', '..');
const manifest = (name: string, uri: string): string =>
  `apiVersion: onnx-operator.dev/v1alpha1\nkind: OnnxModel\nmetadata: {name: ${name}}\nspec: {model: {uri: ` +
  `"https://models.example/${uri}"}}\n`;
const ready: readonly Claim[] = [{ type: 'Ready', status: 'True', reason: 'UpToDate', message: 'it serves' }];
const stalled: readonly Claim[] = [
  { type: 'Ready', status: 'False', reason: 'LatencyGateFailed', message: 'too slow' },
  { type: 'Stalled', status: 'True', reason: 'LatencyGateFailed', message: 'too slow' },
];
const busy: readonly Claim[] = [
  { type: 'Ready', status: 'False', reason: 'Analyzing', message: 'it is judged' },
  { type: 'Reconciling', status: 'True', reason: 'Analyzing', message: 'it is judged' },
];

describe('the GitOps recipes, run with the real tools', function () {
  let api: ModelApi;
  let folder: string;
  before(async function () {
    if (!kubeToolsRunHere) this.skip();
    folder = mkdtempSync(join(tmpdir(), 'gitops-'));
    mkdirSync(join(folder, 'bin'));
    for (const tool of ['kubectl', 'helm'] as const) symlinkSync(kubeTool(tool), join(folder, 'bin', tool));
    const cli = join(folder, 'bin', 'kubectl-onnx');
    writeFileSync(cli, `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'cli', 'main.ts')}' "$@"\n`);
    chmodSync(cli, 0o755);
    api = await ModelApi.start('ml');
  });
  after(async () => {
    await api?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  type Ended = { readonly code: number; readonly text: string };
  function run(program: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ended> {
    const env = {
      ...process.env,
      PATH: `${join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
      KUBECONFIG: api.kubeconfig,
      HOME: folder,
      ...more,
    };
    return new Promise((resolve) => {
      execFile(program, [...args], { env, timeout: 50_000 }, (error, out, err) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: out + err }),
      );
    });
  }
  const isThere = (name: string): Promise<boolean> =>
    eventually(
      `${name} is there`,
      () =>
        api.server.objects.get({
          apiVersion: 'onnx-operator.dev/v1alpha1',
          plural: 'onnxmodels',
          namespace: 'ml',
          name,
        }) !== undefined,
    );
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
    return path;
  };

  for (const [how, claims, code] of [
    ['serves', ready, 0],
    ['was given up', stalled, 1],
  ] as const) {
    it(`the pipeline exits with ${code} when the model ${how}`, async () => {
      const name = `pipe${code}`;
      const ended = run(
        join(root, 'docs', 'gitops', 'pipeline.sh'),
        [write(`${name}.yaml`, manifest(name, 'a.onnx'))],
        { NAMESPACE: 'ml', MODEL: name, TIMEOUT: '30s' },
      );
      await isThere(name);
      api.say('ml', name, { claims });
      const { code: got, text } = await ended;
      assert.equal(got, code, text);
      assert.match(text, /1 valid, 0 invalid/);
    });
  }

  it('the pipeline does not apply an invalid manifest', async () => {
    const { code, text } = await run(
      join(root, 'docs', 'gitops', 'pipeline.sh'),
      [write('wrong.yaml', `${manifest('wrong', 'a.onnx')}status: {}\nspecs: {}\n`)],
      { NAMESPACE: 'ml', MODEL: 'wrong' },
    );
    assert.equal(code, 1, text);
    assert.equal(
      api.server.objects.get({
        apiVersion: 'onnx-operator.dev/v1alpha1',
        plural: 'onnxmodels',
        namespace: 'ml',
        name: 'wrong',
      }),
      undefined,
    );
  });

  it('kubectl wait ignores Ready of the previous spec', async () => {
    api.create('ml', 'waited');
    api.say('ml', 'waited', { claims: ready });
    api.changeSpec('ml', 'waited', { replicas: 3 });
    const { code, text } = await run('kubectl', [
      '-n',
      'ml',
      'wait',
      'onnxmodel/waited',
      '--for=condition=Ready',
      '--timeout=1s',
    ]);
    assert.equal(code, 1, text);
    api.say('ml', 'waited', { claims: ready });
    assert.equal(
      (await run('kubectl', ['-n', 'ml', 'wait', 'onnxmodel/waited', '--for=condition=Ready', '--timeout=10s'])).code,
      0,
    );
  });

  it("the patch of Argo CD's ConfigMap is valid", async () => {
    api.server.objects.create({ apiVersion: 'v1', plural: 'configmaps' }, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'argocd-cm', namespace: 'ml' },
      data: { url: 'https://argocd.example' },
    } as unknown as NewObject);
    const { code, text } = await run('kubectl', [
      '-n',
      'ml',
      'patch',
      'configmap',
      'argocd-cm',
      '--type',
      'merge',
      '--patch-file',
      join(root, 'docs', 'gitops', 'argocd-cm.yaml'),
    ]);
    assert.equal(code, 0, text);
    const { data } = api.server.objects.get({
      apiVersion: 'v1',
      plural: 'configmaps',
      namespace: 'ml',
      name: 'argocd-cm',
    }) as unknown as { readonly data: object };
    assert.deepEqual(
      new Set(Object.keys(data).map((key) => key.split('.')[2])),
      new Set([undefined, 'health', 'actions', 'ignoreDifferences']),
    );
  });

  describe('Helm 4, which uses kstatus', () => {
    function install(name: string, ...flags: readonly string[]): Promise<Ended> {
      write(`${name}/Chart.yaml`, `apiVersion: v2\nname: ${name}\nversion: 0.1.0\n`);
      write(`${name}/templates/model.yaml`, manifest(name, 'a.onnx'));
      return run('helm', ['upgrade', '--install', name, join(folder, name), '-n', 'ml', ...flags]);
    }
    it('waits until the model serves', async () => {
      const ended = install('waits', '--wait=watcher', '--timeout', '40s');
      await isThere('waits');
      api.say('ml', 'waits', { claims: busy });
      api.say('ml', 'waits', { claims: ready });
      const { code, text } = await ended;
      assert.equal(code, 0, text);
    });
    it('fails at once with the reason when the model was given up', async () => {
      // The timeout of 10 min is longer than the time limit of the test, so the test only passes if helm ends earlier.
      const ended = install('given-up', '--wait=watcher', '--timeout', '10m');
      await isThere('given-up');
      api.say('ml', 'given-up', { claims: stalled });
      const { code, text } = await ended;
      assert.equal(code, 1, text);
      assert.match(text, /OnnxModel\/ml\/given-up not ready\. status: Failed, message: too slow/);
    });
    it('does not accept a model that the operator has not observed', async () => {
      const { code, text } = await install('unseen', '--wait=watcher', '--timeout', '3s');
      assert.equal(code, 1, text);
    });
  });
});
