/**
 * A real cluster, as KUBECONFIG names it, with a node that has the runtime's image.
 *
 * Owns:  how a folder of this machine becomes a claim: a hostPath volume, which needs nodes that see this machine's file
 *        system (network namespaces, kind with a mount). Pods need no right to hostPath: they mount a claim.
 *        Services are called at their ClusterIP, which this machine has to have a route to.
 */
import { KubeConfig } from '@kubernetes/client-node';
import { ClusterApi } from './cluster-api.ts';
import { claimName, type Target } from './target.ts';

export type ClusterSettings = { readonly kubeconfigFile: string | undefined; readonly modelsFolder: string; readonly image: string | undefined };

export function openCluster({ kubeconfigFile, modelsFolder, image }: ClusterSettings): Target {
  if (kubeconfigFile === undefined || image === undefined) throw new Error('the stories on a cluster need KUBECONFIG and ONNX_E2E_IMAGE: npm run test:e2e sets them');
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(kubeconfigFile);
  const api = new ClusterApi(kubeConfig);
  return {
    name: 'a cluster',
    kubeConfig,
    kubeconfigFile,
    runtimeImage: image,
    async offerModels(namespace) {
      const capacity = { storage: '1Gi' };
      const accessModes = ['ReadOnlyMany'];
      const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name: claimName };
      const spec = { capacity, accessModes, storageClassName: '', persistentVolumeReclaimPolicy: 'Retain', claimRef, hostPath: { path: modelsFolder, type: 'Directory' } };
      await api.apply({ apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: volumeOf(namespace) }, spec });
      const claim = { accessModes, storageClassName: '', volumeName: volumeOf(namespace), resources: { requests: capacity } };
      await api.apply({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { namespace, name: claimName }, spec: claim });
    },
    withdrawModels: (namespace) => api.delete({ apiVersion: 'v1', kind: 'PersistentVolume', name: volumeOf(namespace) }),
    lastLines: () => '',
    close: () => Promise.resolve(),
  };
}

function volumeOf(namespace: string): string {
  return `models-of-${namespace}`;
}
