/**
 * Tests what kubectl-onnx writes to a Kubernetes API: the fields that it sets and removes, conflicts, and field
 * managers.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { customResourceDefinition, type OnnxModel } from '../../api/onnxmodel.ts';
import { openCluster } from '../../cli/cluster/api-server.ts';
import { patchModel, type ModelChange } from '../../cli/cluster/change-model.ts';
import { intend } from '../../cli/commands/intend.ts';
import { cliManager } from '../../cli/cluster/ownership.ts';
import { undo } from '../../cli/commands/undo.ts';
import { labels } from '../../api/names.ts';
import { kubeTool, kubeToolsRunHere } from '../../scripts/kubectl.ts';

export type Api = { readonly kubeconfig: string; readonly close: () => Promise<void> };

const namespace = 'cli-writes';
const definition = customResourceDefinition('published');
const [A, B] = ['aaaaaaaaaa', 'bbbbbbbbbb'];

/**
 * @param connect returns a server with or without the definition of OnnxModels, or the reason why there is no server
 */
export function describeCliWrites(where: string, connect: () => Promise<Api | string>): void {
  describe(`what kubectl-onnx writes, on ${where}`, function () {
    let api: Api | undefined;
    let madeDefinition = false;
    const kubectl = async (args: readonly string[], stdin?: object): Promise<string> => {
      const running = promisify(execFile)(kubeTool('kubectl'), ['--kubeconfig', api?.kubeconfig ?? '', ...args], {
        timeout: 30_000,
      });
      running.child.stdin?.end(stdin === undefined ? '' : JSON.stringify(stdin));
      return (await running).stdout;
    };
    const model = async (): Promise<OnnxModel> =>
      JSON.parse(
        await kubectl(['-n', namespace, 'get', 'onnxmodel', 'ranker', '-o', 'json', '--show-managed-fields']),
      ) as OnnxModel;
    const run = (main: ReturnType<typeof intend>, ...argv: readonly string[]): Promise<number> =>
      main([...argv, '-n', namespace, '--kubeconfig', api?.kubeconfig ?? ''], () => {}, new AbortController().signal);
    const say = async (status: object): Promise<void> => {
      const { generation } = (await model()).metadata;
      await kubectl([
        '-n',
        namespace,
        'patch',
        'onnxmodel',
        'ranker',
        '--subresource=status',
        '--type=merge',
        '-p',
        JSON.stringify({ status: { observedGeneration: generation, ...status } }),
      ]);
    };

    before(async function () {
      const connected = kubeToolsRunHere ? await connect() : 'kubectl does not run on this machine';
      if (typeof connected === 'string') {
        console.log(`      skipped: ${connected}`);
        this.skip();
      } else api = connected;
      madeDefinition = (await kubectl(['get', 'crd', definition.metadata.name, '--ignore-not-found'])) === '';
      if (madeDefinition) await kubectl(['create', '-f', '-'], definition);
      await kubectl(['wait', '--for=condition=Established', `crd/${definition.metadata.name}`, '--timeout=30s']);
      await kubectl(['create', 'namespace', namespace]);
      await kubectl(['-n', namespace, 'apply', '-f', '-'], {
        apiVersion: 'onnx-operator.dev/v1alpha1',
        kind: 'OnnxModel',
        metadata: { name: 'ranker' },
        spec: { model: { uri: 'https://models.example/b.onnx' }, execution: { workers: 2 }, replicas: 3 },
      });
      await kubectl(['-n', namespace, 'create', '-f', '-'], {
        apiVersion: 'apps/v1',
        kind: 'ControllerRevision',
        metadata: { name: `ranker-${A}`, labels: { [labels.model]: 'ranker', [labels.revision]: A } },
        revision: 1,
        data: { schema: 1, written: { model: { uri: 'https://models.example/a.onnx' } } },
      });
    });
    after(async () => {
      if (api === undefined) return;
      await kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
      if (madeDefinition) await kubectl(['delete', 'crd', definition.metadata.name]);
      await api.close();
    });

    it('sets an intent and removes the contradicting one, under its own manager', async () => {
      await say({ candidate: { revision: B }, rollout: { phase: 'Analyzing', step: 1 } });
      assert.equal(await run(intend('promote'), 'ranker'), 0);
      await say({});
      assert.equal(await run(intend('abort'), 'ranker'), 0);
      const { spec, metadata } = await model();
      assert.deepEqual(spec.rollout, { abortRevision: B });
      assert.ok(metadata.managedFields?.some(({ manager }) => manager === cliManager) === true);
    });

    it('restores every field of an older spec, and changes nothing else', async () => {
      assert.equal(await run(undo, 'ranker', '--to', A), 0);
      const { spec } = await model();
      assert.deepEqual(spec, {
        model: { uri: 'https://models.example/a.onnx' },
        replicas: 3,
        revisionHistoryLimit: 5,
        rollout: { abortRevision: B },
      });
    });

    describe('after undo, the next apply of the manifest', () => {
      const old = {
        model: { uri: 'https://models.example/a.onnx' },
        execution: { workers: 2, graphOptimization: 'Basic' },
        batching: { maxBatchSize: 4 },
      };
      const manifest = (name: string, uri: string): object => ({
        apiVersion: 'onnx-operator.dev/v1alpha1',
        kind: 'OnnxModel',
        metadata: { name, labels: { team: 'search' } },
        spec: { model: { uri }, memory: { limit: '1Gi' }, replicas: 2 },
      });
      // prettier-ignore
      const appliers: readonly (readonly [sentence: string, name: string, apply: readonly string[]])[] = [
        ['by server-side apply has no conflict, and removes fields of the old spec',
          'by-pipeline', ['apply', '--server-side', '--field-manager=pipeline', '-f', '-']],
        ['by client-side apply removes fields of the old spec', 'by-hand', ['apply', '-f', '-']],
        ['by Flux, which applies beside a user\'s edits, has no conflict', 'by-flux',
          ['apply', '--server-side', '--field-manager=kustomize-controller', '-f', '-']],
      ];
      for (const [sentence, name, apply] of appliers) {
        it(sentence, async () => {
          const read = async (): Promise<OnnxModel> =>
            JSON.parse(
              await kubectl(['-n', namespace, 'get', 'onnxmodel', name, '-o', 'json', '--show-managed-fields']),
            ) as OnnxModel;
          const owners = async (): Promise<readonly (string | undefined)[]> =>
            ((await read()).metadata.managedFields ?? []).map(({ manager }) => manager);
          await kubectl(['-n', namespace, 'create', '-f', '-'], {
            apiVersion: 'apps/v1',
            kind: 'ControllerRevision',
            metadata: { name: `${name}-${A}`, labels: { [labels.model]: name, [labels.revision]: A } },
            revision: 1,
            data: { schema: 1, written: old },
          });
          await kubectl(['-n', namespace, ...apply], manifest(name, 'https://models.example/b.onnx'));
          if (name === 'by-flux')
            await kubectl([
              '-n',
              namespace,
              'patch',
              'onnxmodel',
              name,
              '--type=merge',
              '--field-manager=kubectl-edit',
              '-p',
              '{"spec":{"warmup":{"requests":3}}}',
            ]);
          const {
            spec: { replicas },
          } = await read();
          assert.equal(await run(undo, name, '--to', A), 0);
          const { spec } = await read();
          assert.deepEqual(
            { ...spec, revisionHistoryLimit: undefined },
            { ...old, replicas, revisionHistoryLimit: undefined },
          );
          assert.equal((await owners()).includes(cliManager), false);
          await kubectl(['-n', namespace, ...apply], manifest(name, 'https://models.example/c.onnx'));
          const after = (await read()).spec;
          assert.deepEqual(
            { ...after, revisionHistoryLimit: undefined },
            {
              model: { uri: 'https://models.example/c.onnx' },
              memory: { limit: '1Gi' },
              replicas,
              revisionHistoryLimit: undefined,
            },
          );
        });
      }

      it('keeps an intent that is not in Git', async () => {
        const name = 'by-pipeline';
        await kubectl([
          '-n',
          namespace,
          'patch',
          'onnxmodel',
          name,
          '--type=merge',
          `--field-manager=${cliManager}`,
          '-p',
          JSON.stringify({ spec: { rollout: { paused: true, promoteRevision: B } } }),
        ]);
        assert.equal(await run(undo, name, '--to', A), 0);
        await kubectl(
          ['-n', namespace, 'apply', '--server-side', '--field-manager=pipeline', '-f', '-'],
          manifest(name, 'https://models.example/c.onnx'),
        );
        const { spec } = JSON.parse(
          await kubectl(['-n', namespace, 'get', 'onnxmodel', name, '-o', 'json']),
        ) as OnnxModel;
        assert.deepEqual(spec.rollout, { paused: true });
        assert.equal(spec.execution, undefined);
      });
    });

    const stale: readonly ModelChange[] = [
      {
        kind: 'Merge',
        patch: { metadata: { resourceVersion: '1' }, spec: { rollout: { paused: true } } },
      },
      {
        kind: 'Operations',
        patch: [
          { op: 'replace', path: '/metadata/resourceVersion', value: '1' },
          { op: 'replace', path: '/spec/replicas', value: 4 },
        ],
      },
    ];
    for (const change of stale) {
      it(`gets a conflict when it decided on an older version (${change.kind})`, async () => {
        const cluster = await openCluster({ kubeconfig: api?.kubeconfig });
        await assert.rejects(patchModel(cluster, { namespace, name: 'ranker' }, change), {
          code: 'KUBE_STATUS',
          kind: 'conflict',
        });
      });
    }
  });
}
