/**
 * How many workers with how many threads each, and whether they may spin.
 *
 * Owns:  the policy. Pure: the machine comes in as numbers (runtime/config/cgroup.ts reads them).
 * Why:   workers x threads stays within the CPUs the pod may use: with more, a quota's throttling or a
 *        neighbour turns every run's tail into a multiple of its median. For throughput as many sessions of
 *        one thread as CPUs win; for the latency of a single request one session that has them all.
 */
import type { ExecutionConfig } from '../../api/runtime-config.ts';

export type Machine = {
  /** CPUs this process may run on. */
  readonly cpus: number;
  /** CPUs' worth of time that the cgroup allows; absent without a quota. */
  readonly quota?: number;
};

export type Threads = {
  readonly workers: number;
  readonly threadsPerWorker: number;
  /** ONNX Runtime's threads wait for work by spinning: not at all, or for 50 us. */
  readonly spin: 'Off' | 'Brief';
};

/** Each session needs its own buffers, and past this many the gain is gone; further CPUs become threads. */
const maxWorkers = 16;

export function planThreads(
  execution: Pick<ExecutionConfig, 'profile' | 'workers' | 'threadsPerWorker'>,
  machine: Machine,
): Threads {
  const cores = usableCores(machine);
  const workers = execution.workers ?? defaultWorkers(execution, cores);
  const threadsPerWorker = execution.threadsPerWorker ?? Math.max(1, Math.floor(cores / workers));
  // Spinning under a quota burns the quota; oversubscribed, it takes the time from those who have work.
  const crowded = machine.quota !== undefined || workers * threadsPerWorker > cores;
  return { workers, threadsPerWorker, spin: threadsPerWorker === 1 || crowded ? 'Off' : 'Brief' };
}

/** What the process holds beside its sessions: Node, its threads, bodies under way. */
const baseBytes = 100 * 2 ** 20;
/** Above this share of the limit a worker would be recycled again and again (call/memory-guard.ts). */
const usableShare = 0.85;

/**
 * How many workers fit into memory, at least one.
 *
 * @param limitBytes the container's limit; undefined: any number fits
 * @param workerBytes anonymous memory that loading and one run took; 0: not known, any number fits
 */
export function fittingWorkers(limitBytes: number | undefined, workerBytes: number): number {
  if (limitBytes === undefined || workerBytes <= 0) return maxWorkers;
  return Math.max(1, Math.floor((limitBytes * usableShare - baseBytes) / workerBytes));
}

/** Whole CPUs, at least one: a quota of 1.5 feeds one busy thread and the HTTP thread beside it. */
export function usableCores({ cpus, quota }: Machine): number {
  return Math.max(1, Math.floor(Math.min(cpus, quota ?? cpus)));
}

function defaultWorkers(
  { profile, threadsPerWorker }: Pick<ExecutionConfig, 'profile' | 'threadsPerWorker'>,
  cores: number,
): number {
  if (profile === 'Latency') return 1;
  return Math.max(1, Math.min(maxWorkers, Math.floor(cores / (threadsPerWorker ?? 1))));
}
