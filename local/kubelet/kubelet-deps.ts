/**
 * The dependencies of the kubelet's parts. All pods of the node share them. control-plane.ts creates them. Containers
 * are child processes of this process.
 */
import { join } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Objects } from '../objects.ts';
import type { ClaimFolders } from '../workloads/claims.ts';
import type { LocalEventRecorder } from '../workloads/event-recorder.ts';
import type { BackoffLimits } from './backoff.ts';
import type { ProcessDeps } from './container-process.ts';
import type { ImageTable } from './images.ts';
import type { LoopbackAddresses } from './loopback-addresses.ts';
import type { StoredPod } from './pod.ts';

export type Capacity = { readonly cpu: number; readonly memoryBytes: number };

export type KubeletDeps = {
  readonly objects: Objects;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: LocalEventRecorder;
  readonly images: ImageTable;
  readonly addresses: LoopbackAddresses;
  readonly processes: ProcessDeps;
  readonly folders: ClaimFolders;
  readonly backoff: BackoffLimits;
  readonly capacity: Capacity;
  readonly dataDir: string;
  /**
   * The environment that every container starts with. It contains the machine's settings for the network (proxies,
   * certificates, npm).
   */
  readonly machineEnv: Readonly<Record<string, string>>;
};

/** The address at which pods reach the control plane. */
export const hostIp = '127.0.0.1';
export const nodeName = 'local';

export function podsDir(dataDir: string): string {
  return join(dataDir, 'pods');
}

export function podDir(dataDir: string, pod: StoredPod): string {
  return join(podsDir(dataDir), pod.metadata.uid);
}
