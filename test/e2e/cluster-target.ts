/**
 * A real cluster, given by KUBECONFIG, with a node that has the runtime's image.
 * Owns: how a folder of this machine becomes a volume claim. Its volume is a hostPath, so every node must see this
 * machine's file system. Two examples: nodes that are network namespaces on this machine, and a kind cluster that
 * mounts the folder. Pods mount the claim and do not need the right to use hostPath. Services are called at their
 * ClusterIP, so this machine needs a route to the ClusterIP.
 */
import { KubeConfig } from '@kubernetes/client-node';
import { ClusterApi, eventually, type Named } from './cluster-api.ts';
import { claimName, type Target } from './target.ts';

export type ClusterSettings = {
  readonly kubeconfigFile: string | undefined;
  readonly modelsFolder: string;
  readonly image: string | undefined;
};

export function openCluster({ kubeconfigFile, modelsFolder, image }: ClusterSettings): Target {
  if (kubeconfigFile === undefined || image === undefined)
    throw new Error('the stories on a cluster need KUBECONFIG and ONNX_E2E_IMAGE: npm run test:e2e sets them');
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromFile(kubeconfigFile);
  const api = new ClusterApi(kubeConfig);
  return {
    name: 'a cluster',
    kubeConfig,
    kubeconfigFile,
    runtimeImage: image,
    offerModels: (namespace) => offerModels(api, namespace, modelsFolder),
    withdrawModels: (namespace) =>
      api.delete({ apiVersion: 'v1', kind: 'PersistentVolume', name: volumeOf(namespace) }),
    lastLines: () => '',
    close: () => Promise.resolve(),
  };
}

async function offerModels(api: ClusterApi, namespace: string, folder: string): Promise<void> {
  const capacity = { storage: '1Gi' };
  const common = { accessModes: ['ReadOnlyMany'], storageClassName: '' };
  const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name: claimName };
  const volume = { apiVersion: 'v1', kind: 'PersistentVolume', name: volumeOf(namespace) };
  const spec = {
    ...common,
    capacity,
    persistentVolumeReclaimPolicy: 'Retain',
    claimRef,
    hostPath: { path: folder, type: 'Directory' },
  };
  await api.apply({ apiVersion: volume.apiVersion, kind: volume.kind, metadata: { name: volume.name }, spec });
  // Wait until the volume is available: a claim that is created earlier waits 15 s for the binder's next round.
  await phaseIs(api, volume, 'Available');
  const claim = { ...common, volumeName: volume.name, resources: { requests: capacity } };
  await api.apply({
    apiVersion: claimRef.apiVersion,
    kind: claimRef.kind,
    metadata: { namespace, name: claimName },
    spec: claim,
  });
  await phaseIs(api, claimRef, 'Bound');
}

async function phaseIs(api: ClusterApi, named: Named, phase: string): Promise<void> {
  await eventually(`${named.kind} ${named.name} ${phase}`, 60_000, async () => {
    const status = (await api.get(named))?.status as { readonly phase?: string } | undefined;
    return status?.phase === phase ? true : undefined;
  });
}

function volumeOf(namespace: string): string {
  return `models-of-${namespace}`;
}
