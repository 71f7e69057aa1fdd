/**
 * Chooses the numbers of workers and of threads per worker, and whether threads may spin.
 *
 * Owns:  the policy: workers x threads is at most the number of the pod's CPUs, unless the spec sets more. With more
 *        threads than CPUs, throttling makes the slowest requests many times slower. The throughput profile starts one
 *        session of one thread for each CPU. The latency profile starts one session that uses all CPUs.
 * Pure:  the machine is given as numbers (runtime/config/cgroup.ts reads them).
 */
import type { ExecutionConfig } from '../../api/runtime-config.ts';

export type Machine = {
  /** CPUs that this process may run on. */
  readonly cpus: number;
  /** The cgroup's quota in CPUs; absent without a quota. */
  readonly quota?: number;
};

export type Threads = {
  readonly workers: number;
  readonly threadsPerWorker: number;
  /** Whether idle threads of ONNX Runtime spin: not at all, or for 50 µs. */
  readonly spin: 'Off' | 'Brief';
};

/**
 * Maximum number of workers that is chosen by default. Each session needs its own buffers, and more sessions do not
 * help. If there are more CPUs, each session gets more threads.
 */
const maxWorkers = 16;

export function planThreads(
  execution: Pick<ExecutionConfig, 'profile' | 'workers' | 'threadsPerWorker'>,
  machine: Machine,
): Threads {
  const cores = usableCores(machine);
  const workers = execution.workers ?? defaultWorkers(execution, cores);
  const threadsPerWorker = execution.threadsPerWorker ?? Math.max(1, Math.floor(cores / workers));
  // Spinning under a quota uses up the quota; with more threads than CPUs, spinning takes CPU time from threads that
  // have work.
  const crowded = machine.quota !== undefined || workers * threadsPerWorker > cores;
  return { workers, threadsPerWorker, spin: threadsPerWorker === 1 || crowded ? 'Off' : 'Brief' };
}

/** Memory of the process apart from its sessions: Node, its threads, request bodies. */
const baseBytes = 100 * 2 ** 20;
/** Above this share of the limit a worker would be recycled repeatedly (call/memory-guard.ts). */
const usableShare = 0.85;

/**
 * How many workers fit into memory, at least one; `maxWorkers` when one of the parameters is unknown.
 *
 * @param limitBytes the container's memory limit; undefined when there is no limit
 * @param workerBytes anonymous memory that a worker needs for loading and one run; 0 when it is unknown
 */
export function fittingWorkers(limitBytes: number | undefined, workerBytes: number): number {
  if (limitBytes === undefined || workerBytes <= 0) return maxWorkers;
  return Math.max(1, Math.floor((limitBytes * usableShare - baseBytes) / workerBytes));
}

/** Whole CPUs, at least one: a quota of 1.5 is enough for one busy thread and the HTTP thread. */
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
