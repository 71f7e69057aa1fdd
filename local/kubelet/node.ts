/**
 * The Node object: this machine's capacity, and how limits are enforced.
 * Owns: the node's labels, capacity and conditions. The object is written once at start and has no heartbeats, so that
 * a quiet cluster has no writes.
 */
import { release } from 'node:os';
import type { Clock } from '../../lib/clock.ts';
import type { NewObject, Objects } from '../objects.ts';
import { toApiTime } from '../../api/conditions.ts';
import { nodesPath } from '../workloads/resources.ts';
import { hostIp, nodeName, type Capacity } from './kubelet-deps.ts';

const maxPods = 110;
/** The architecture's name in Kubernetes. */
const architecture = process.arch === 'x64' ? 'amd64' : process.arch;

export type NodeFacts = {
  readonly capacity: Capacity;
  /**
   * The version of the control groups that enforce limits. Undefined: memory-watch.ts enforces memory limits, and CPU
   * is not limited.
   */
  readonly cgroupVersion: 1 | 2 | undefined;
};

/** Creates the Node if it does not exist, and writes its status. */
export function writeNode(objects: Objects, clock: Clock, facts: NodeFacts): void {
  const wanted = nodeObject(facts, toApiTime(clock.now()));
  const stored = objects.get({ ...nodesPath, name: nodeName }) ?? objects.create(nodesPath, wanted);
  objects.updateStatus(nodesPath, { ...stored, status: wanted['status'] });
}

export function nodeObject({ capacity, cgroupVersion }: NodeFacts, now: string): NewObject {
  const amounts = {
    cpu: String(capacity.cpu),
    memory: `${Math.floor(capacity.memoryBytes / 1024)}Ki`,
    pods: String(maxPods),
  };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName,
      labels: {
        'kubernetes.io/hostname': nodeName,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': architecture,
      },
    },
    spec: {},
    status: {
      capacity: amounts,
      allocatable: amounts,
      addresses: [
        { type: 'InternalIP', address: hostIp },
        { type: 'Hostname', address: nodeName },
      ],
      nodeInfo: {
        kubeletVersion: 'v1.35.0-local',
        operatingSystem: 'linux',
        architecture,
        containerRuntimeVersion: 'process://1',
        osImage: 'local',
        kernelVersion: release(),
        machineID: '',
        systemUUID: '',
        bootID: '',
        kubeProxyVersion: '',
      },
      conditions: conditionsOf(cgroupVersion, now),
    },
  };
}

function conditionsOf(cgroupVersion: NodeFacts['cgroupVersion'], now: string): readonly object[] {
  const condition = (type: string, status: string, reason: string, message: string): object => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  const limits =
    cgroupVersion === undefined
      ? condition(
          'LimitsEnforced',
          'False',
          'Polling',
          'control groups are not available: memory is measured every 100 ms and a container over its limit is ' +
            'killed; CPU limits are not enforced',
        )
      : condition(
          'LimitsEnforced',
          'True',
          'ControlGroups',
          `memory and CPU limits are enforced by control groups, version ${cgroupVersion}`,
        );
  return [
    condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    limits,
    condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
  ];
}
