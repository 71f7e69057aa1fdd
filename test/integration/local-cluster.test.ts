/** Local mode in the test's own process. Other suites start it in the same way. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalCluster } from '../../local/cluster.ts';
import { isPodReady, type StoredPod } from '../../local/kubelet/pod.ts';
import { definitionsPath, podsPath } from '../../local/workloads/resources.ts';
import { container, programs } from '../support/local-world.ts';

describe('startLocalCluster', () => {
  it("starts the API and a node, runs the caller's images, and removes its folder at the end", async () => {
    const cluster = await startLocalCluster({ images: programs });
    try {
      assert.equal(statSync(cluster.kubeconfig).mode & 0o077, 0);
      assert.ok(readFileSync(cluster.kubeconfig, 'utf8').includes(cluster.server));
      assert.notEqual(cluster.objects.get({ ...definitionsPath, name: 'onnxmodels.onnx-operator.dev' }), undefined);
      cluster.objects.create(podsPath, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web', namespace: 'default' },
        spec: { containers: [container({ args: ['stay'] })] },
      });
      await new Promise<void>((resolve) => {
        const stop = cluster.objects.watch(podsPath, ({ object }) => {
          if (!isPodReady(object as StoredPod)) return;
          stop();
          resolve();
        });
      });
    } finally {
      await cluster.close();
    }
    await cluster.close();
    assert.equal(existsSync(cluster.dataDir), false);
  });

  it('releases its lock when it cannot start', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'onnx-cluster-'));
    await assert.rejects(
      startLocalCluster({ dataDir: dir, kubeconfig: join(dir, 'none', 'config') }),
      /--kubeconfig: .*config cannot be written: ENOENT/,
    );
    // A second start shows that the lock is free again.
    await (await startLocalCluster({ dataDir: dir })).close();
    rmSync(dir, { recursive: true, force: true });
  });
});
