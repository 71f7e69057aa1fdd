/**
 * Local mode as a target: a control plane and a kubelet in one process, on free ports.
 * Owns: starting and ending it. The operator runs in another process, as on a cluster, so that a story can stop it.
 */
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { localRuntimeImage } from '../../api/names.ts';
import { ChildProgram } from './child-program.ts';
import { ClusterApi } from './cluster-api.ts';
import { claimName, type Target } from './target.ts';

export async function openLocalMode({
  folder,
  modelsFolder,
}: {
  readonly folder: string;
  readonly modelsFolder: string;
}): Promise<Target> {
  const kubeconfigFile = join(folder, 'kubeconfig');
  const flags = [
    '--kubeconfig',
    kubeconfigFile,
    '--data',
    join(folder, 'data'),
    '--volume',
    `${claimName}=${modelsFolder}`,
    '--port',
    '0',
    '--no-operator',
  ];
  const program = new ChildProgram('local mode', ['local/main.ts', ...flags]);
  await program.says(/ready/i, 60_000);
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(kubeconfigFile);
  const api = new ClusterApi(kubeConfig);
  return {
    name: 'local mode',
    kubeConfig,
    kubeconfigFile,
    runtimeImage: localRuntimeImage,
    async offerModels(namespace) {
      const spec = { accessModes: ['ReadOnlyMany'], resources: { requests: { storage: '1Gi' } } };
      await api.apply({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { namespace, name: claimName },
        spec,
      });
    },
    withdrawModels: () => Promise.resolve(),
    lastLines: () => program.lastLines,
    close: () => program.stop(),
  };
}
