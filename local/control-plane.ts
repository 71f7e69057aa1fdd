/**
 * All parts of local mode that work on the API's objects: controllers, scheduler, kubelet, router and gateway. Local
 * mode is a Kubernetes cluster in one process on this machine; its containers are child processes.
 * Owns: connecting these parts, and the order in which they end. Controllers stop first, so that they do not replace
 * pods that are being ended.
 * Needs: an `Objects`, with or without HTTP.
 */
import { availableParallelism, totalmem } from 'node:os';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import { GatewayController } from './gateway/gateway.ts';
import { kubeletBackoff, type BackoffLimits } from './kubelet/backoff.ts';
import { groupName, openCgroups } from './kubelet/cgroups.ts';
import { imageKey, type Image } from './kubelet/images.ts';
import { Kubelet } from './kubelet/kubelet.ts';
import { nodeName, type Capacity } from './kubelet/kubelet-deps.ts';
import { LoopbackAddresses } from './kubelet/loopback-addresses.ts';
import { MemoryWatch } from './kubelet/memory-watch.ts';
import { writeNode } from './kubelet/node.ts';
import { ProcessRecords } from './kubelet/process-records.ts';
import type { Objects } from './objects.ts';
import { Router } from './router/router.ts';
import { ServiceSlices } from './router/service-slices.ts';
import { createGivenClaims, syncClaim, type ClaimFolders } from './workloads/claims.ts';
import { startController, type WorkloadController, type Key } from './workloads/controller.ts';
import { deploymentKeys, syncDeployment } from './workloads/deployment.ts';
import { endpointKeys, syncEndpoints } from './workloads/endpoints.ts';
import { createEventRecorder } from './workloads/event-recorder.ts';
import { replicaSetKeys, syncReplicaSet } from './workloads/replica-set.ts';
import {
  claimsPath,
  deploymentsPath,
  nodesPath,
  podsPath,
  replicaSetsPath,
  servicesPath,
} from './workloads/resources.ts';
import { placementKeys, syncPlacement } from './workloads/scheduler.ts';

export type ControlPlaneDeps = {
  readonly objects: Objects;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A folder that only this process uses. It contains pods, volumes, and the records of child processes. */
  readonly dataDir: string;
  /** Name of a volume claim → the folder that is mounted for it. */
  readonly volumes?: ReadonlyMap<string, string>;
  /** The program for each image name. */
  readonly images: ReadonlyMap<string, Image>;
  /** The environment that every container starts with. */
  readonly machineEnv?: Readonly<Record<string, string>>;
  /** The limits of the restart back-off. Absent: the limits of the real kubelet. */
  readonly backoff?: BackoffLimits;
  /** The node's capacity. Absent: the capacity of this machine. */
  readonly capacity?: Capacity;
  /**
   * `watch`: memory limits are enforced without control groups, even where control groups are available. Absent or
   * `auto`: control groups are used where they are available.
   */
  readonly limits?: 'auto' | 'watch';
};

export interface ControlPlane {
  readonly kubelet: Kubelet;
  /**
   * The records of processes to kill when local mode ends or is killed. A caller that starts a process itself must add
   * the process here.
   */
  readonly processes: ProcessRecords;
  /** @param graceMs milliseconds that containers have between SIGTERM and SIGKILL */
  close(graceMs: number): Promise<void>;
}

export function startControlPlane(deps: ControlPlaneDeps): ControlPlane {
  const { objects, clock, logger, dataDir } = deps;
  const folders: ClaimFolders = { given: deps.volumes ?? new Map(), dataDir };
  const capacity = deps.capacity ?? { cpu: availableParallelism(), memoryBytes: totalmem() };
  mkdirSync(dataDir, { recursive: true });
  const processes = new ProcessRecords(join(dataDir, 'processes'));
  const cgroups = deps.limits === 'watch' ? undefined : openMachineCgroups();
  const memoryWatch = new MemoryWatch(clock);
  const addresses = new LoopbackAddresses();
  createGivenClaims(objects, folders);
  writeNode(objects, clock, { capacity, cgroupVersion: cgroups?.version });
  const kubelet = new Kubelet({
    objects,
    clock,
    logger,
    folders,
    capacity,
    dataDir,
    addresses,
    events: createEventRecorder(objects, clock, 'kubelet'),
    images: new Map([...deps.images].map(([name, image]) => [imageKey(name), image])),
    processes: { records: processes, cgroups, memoryWatch },
    backoff: deps.backoff ?? kubeletBackoff,
    machineEnv: deps.machineEnv ?? {},
  });
  const controllers = startControllers(deps);
  const slices = new ServiceSlices(objects);
  const router = new Router({
    objects,
    slices,
    clock,
    logger,
    events: createEventRecorder(objects, clock, 'kube-proxy'),
  });
  const gateway = new GatewayController({ objects, slices, clock, logger });
  return {
    kubelet,
    processes,
    async close(graceMs) {
      for (const controller of controllers) controller.close();
      slices.close();
      await Promise.all([gateway.close(), router.close(), kubelet.close(graceMs)]);
      memoryWatch.close();
      addresses.releaseAll();
      cgroups?.remove();
      await processes.close();
    },
  };
}

function startControllers({ objects, clock, logger }: ControlPlaneDeps): readonly WorkloadController[] {
  const base = { objects, clock, logger };
  const recorder = (component: string): ReturnType<typeof createEventRecorder> =>
    createEventRecorder(objects, clock, component);
  const deps = { ...base, nodeName };
  const ofDeployment = { ...deps, events: recorder('deployment-controller') };
  const ofReplicaSet = { ...deps, events: recorder('replicaset-controller') };
  const ofScheduler = { ...deps, events: recorder('default-scheduler') };
  const itself = ({ metadata }: { metadata: { namespace?: string; name: string } }): readonly Key[] => [
    { namespace: metadata.namespace ?? '', name: metadata.name },
  ];
  return [
    startController({
      ...base,
      name: 'deployment',
      sync: (key) => syncDeployment(ofDeployment, key),
      watches: [deploymentsPath, replicaSetsPath, podsPath].map((type) => ({
        type,
        keys: (object) => deploymentKeys(objects, object),
      })),
    }),
    startController({
      ...base,
      name: 'replicaset',
      sync: (key) => syncReplicaSet(ofReplicaSet, key),
      watches: [replicaSetsPath, podsPath].map((type) => ({ type, keys: replicaSetKeys })),
    }),
    startController({
      ...base,
      name: 'endpoints',
      sync: (key) => syncEndpoints(objects, key),
      watches: [servicesPath, podsPath].map((type) => ({ type, keys: (object) => endpointKeys(objects, object) })),
    }),
    startController({
      ...base,
      name: 'claims',
      sync: (key) => syncClaim(objects, key),
      watches: [{ type: claimsPath, keys: itself }],
    }),
    startController({
      ...base,
      name: 'scheduler',
      sync: (key) => syncPlacement(ofScheduler, key),
      watches: [podsPath, claimsPath, nodesPath].map((type) => ({
        type,
        keys: (object) => placementKeys(objects, object),
      })),
    }),
  ];
}

function openMachineCgroups(): ReturnType<typeof openCgroups> {
  const root = '/sys/fs/cgroup';
  if (!existsSync('/proc/self/cgroup') || !existsSync(root)) return undefined;
  return openCgroups(
    readFileSync('/proc/self/cgroup', 'utf8'),
    root,
    groupName(process.pid, Math.floor(Math.random() * 1e6)),
  );
}
