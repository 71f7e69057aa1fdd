/** The statuses of pods and Deployments that a kubelet and the Deployment controller would write. Pure. */
import { printLastWords } from '../../api/last-words.ts';
import { containers } from '../../api/names.ts';
import type { Deployment } from '../../kube/kinds.ts';

export type PodStage = 'Pending' | 'Initializing' | 'Running' | 'Ready';

const words = printLastWords({
  kind: 'resolved',
  resolved: {
    digest: `sha256:${'ab'.repeat(32)}`,
    bytes: 1,
    signature: 's',
    opset: 17,
    precision: 'Source',
    provider: 'CPU',
    memoryEstimateBytes: 2 ** 26,
  },
});

/** @param ip absent before the pod is ready: only a ready pod of the bench has a sidecar */
export function podStatus(stage: PodStage, ip?: string): object {
  if (stage === 'Pending' || stage === 'Initializing')
    return {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'True' }],
      initContainerStatuses: [{ ...container(containers.prepare), ready: false, state: { running: {} } }],
    };
  const isReady = stage === 'Ready';
  return {
    phase: 'Running',
    ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }),
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Initialized', status: 'True' },
      { type: 'Ready', status: isReady ? 'True' : 'False' },
    ],
    initContainerStatuses: [
      { ...container(containers.prepare), ready: true, state: { terminated: { exitCode: 0, message: words } } },
    ],
    containerStatuses: [containers.runtime, containers.sidecar].map((name) => ({
      ...container(name),
      ready: isReady,
      started: isReady,
      state: { running: {} },
    })),
  };
}

export function deploymentStatus(deployment: Deployment, stages: readonly PodStage[]): object {
  const wanted = deployment.spec?.replicas ?? 0;
  const ready = stages.filter((stage) => stage === 'Ready').length;
  const isAvailable = ready >= wanted;
  return {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: stages.length,
    updatedReplicas: stages.length,
    readyReplicas: ready,
    availableReplicas: ready,
    unavailableReplicas: Math.max(0, wanted - ready),
    conditions: [
      {
        type: 'Available',
        status: isAvailable ? 'True' : 'False',
        reason: isAvailable ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
        message: 'Played by the bench.',
      },
    ],
  };
}

function container(name: string): object {
  return { name, restartCount: 0, image: 'bench', imageID: 'bench' };
}
