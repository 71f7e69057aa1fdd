/**
 * The server's data about itself: the body of /counters (the report without `seq`) and of /config (the configuration in
 * force).
 *
 * Owns:  these two bodies, the boot id and the measurement of event loop delay.
 */
import { randomUUID } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Report } from '../../../api/report.ts';
import type { RuntimeConfig } from '../../../api/runtime-config.ts';
import { thresholdIn } from '../../config/native-environment.ts';
import type { Prepared } from '../../prepare/prepared.ts';
import type { Counters } from '../../call/counters.ts';
import type { SessionOptions } from '../../engine/session-options.ts';
import type { Signature } from '../../engine/signature.ts';
import type { Threads } from '../../engine/threads.ts';
import type { MemoryShares, ServerLimits } from '../../config/limits.ts';
import type { BatchShape } from '../../batching/batch-shape.ts';
import type { CostPoint } from '../../engine/run-cost.ts';
import type { RunPoint } from '../../engine/run-memory.ts';
import type { MemoryGuard } from '../../call/memory-guard.ts';
import type { Readiness } from '../../call/readiness.ts';

const loopResolutionMs = 10;

/** Event loop delay since the process started, in milliseconds. */
export class LoopLag {
  readonly #histogram = monitorEventLoopDelay({ resolution: loopResolutionMs });

  constructor() {
    this.#histogram.enable();
  }

  get reading(): { readonly p50: number; readonly p99: number; readonly max: number } {
    return {
      p50: this.#lag(this.#histogram.percentile(50)),
      p99: this.#lag(this.#histogram.percentile(99)),
      max: this.#lag(this.#histogram.max),
    };
  }

  /** Node reports the time between two ticks of a timer, so the timer's interval is subtracted. Rounded to 0.1 ms. */
  #lag(nanos: number): number {
    return Math.max(0, Math.round((nanos / 1e6 - loopResolutionMs) * 10) / 10);
  }
}

export type ReportSources = {
  readonly bootId: string;
  readonly config: RuntimeConfig;
  readonly prepared: Prepared;
  readonly readiness: Readiness;
  readonly guard: MemoryGuard;
  readonly counters: Counters;
  readonly loop: LoopLag;
  readonly warmup: { readonly done: number; readonly wanted: number };
  readonly queue: { readonly depth: number; readonly oldestMs: number };
  readonly throttledSeconds: number | undefined;
  readonly node: { readonly cpuFeatures: readonly string[]; readonly cores: number };
};

export function newBootId(): string {
  return randomUUID();
}

/** The report without `seq`, which the sidecar adds. */
export function reportOf(from: ReportSources): Omit<Report, 'seq'> {
  const { config, prepared, readiness } = from;
  const { ready } = readiness;
  return {
    schema: 1,
    bootId: from.bootId,
    revision: config.revision,
    model: { digest: prepared.resolved.digest, precision: prepared.resolved.precision },
    providers: { requested: config.execution.providers.map(({ name }) => name), actual: prepared.providers },
    ready,
    ...(ready ? {} : { state: readiness.reason }),
    warmup: from.warmup,
    traffic: from.counters.snapshot(),
    memory: {
      ...from.guard.reading,
      estimateBytes: prepared.resolved.memoryEstimateBytes,
      ...(prepared.allocation === undefined ? {} : { allocation: prepared.allocation.because }),
    },
    queue: from.queue,
    eventLoopLagMs: from.loop.reading,
    ...(from.throttledSeconds === undefined ? {} : { cpuThrottledSeconds: from.throttledSeconds }),
    node: from.node,
  };
}

export type ConfigSources = {
  readonly config: RuntimeConfig;
  readonly prepared: Prepared;
  readonly threads: Threads;
  readonly options: SessionOptions;
  readonly limits: ServerLimits;
  readonly memoryLimitBytes: number | undefined;
  readonly machine: { readonly cpus: number; readonly quota?: number };
  readonly signature: Signature;
  readonly batching: {
    /** Maximum rows of a run; undefined until the model is loaded if the spec sets no maximum. */
    readonly maxRows: number | undefined;
    /** Why requests do not share runs; undefined when requests share runs. */
    readonly because: string | undefined;
    /** How many rows a run has at most, for each measured size of a row. */
    readonly sizes: readonly ({ readonly elements: number } & BatchShape)[];
    /** The measured cost of runs, corrected by recent runs. */
    readonly costs: readonly CostPoint[];
  };
  readonly memory: {
    /** How the memory that the model leaves free is divided. */
    readonly shares: MemoryShares;
    /** The measured memory of runs; empty when it could not be measured. */
    readonly runs: readonly RunPoint[];
  };
  readonly notes: readonly string[];
};

/**
 * The configuration in force. Where it differs from the requested configuration, the notes give the reason. A config
 * never contains credentials.
 */
export function effectiveConfig(from: ConfigSources): unknown {
  const { config, prepared, options } = from;
  return {
    model: {
      name: config.name,
      namespace: config.namespace,
      revision: config.revision,
      task: config.task,
      digest: prepared.resolved.digest,
      opset: prepared.resolved.opset,
    },
    execution: {
      providers: {
        requested: config.execution.providers.map(({ name }) => name),
        used: prepared.providerChain,
        nodes: prepared.providers,
      },
      precision: { requested: config.execution.precision, used: prepared.resolved.precision },
      graphOptimization: config.execution.graphOptimization,
      optimisedAhead: prepared.optimised,
      profile: config.execution.profile,
      ...from.threads,
      arena: options.enableCpuMemArena,
      sessionConfig: options.extra,
    },
    batching: { asked: config.batching, maxBatchSize: from.batching.maxRows, ...from.batching },
    memory: {
      limitBytes: from.memoryLimitBytes ?? null,
      mallocThresholdBytes: thresholdIn(process.env),
      ...(prepared.allocation === undefined ? {} : { allocation: prepared.allocation }),
      ...from.memory,
    },
    limits: from.limits,
    machine: from.machine,
    signature: from.signature,
    notes: [...prepared.notes, ...from.notes],
  };
}
