/**
 * What a sidecar tells the operator about its pod: `GET /report`, JSON, gzip.
 *
 * Owns:  the type. Cumulative since boot, so that merging is adding and a lost or repeated report changes
 *        nothing. Every field but the first four is optional for the reader: silence is no information.
 * Units: histograms in seconds, sparse: bucket i counts values in (base * growth^(i-1), base * growth^i].
 */
import type { Precision, ProviderName } from './runtime-config.ts';

export type Histogram = {
  /** Upper bound of bucket 0, in seconds. */
  readonly base: number;
  /** Ratio of neighbouring bounds; 1.02 is 2 % relative width. */
  readonly growth: number;
  /** Bucket index → count. */
  readonly counts: Readonly<Record<string, number>>;
};

/** Requests of one tier and input-size class. */
export type Traffic = {
  readonly tier: string;
  /** Power of two of input elements (tokens for text) that bounds the class from above. */
  readonly sizeClass: number;
  readonly latency: Histogram;
  readonly ok: number;
  /** Error kind (api/errors.ts) → count. Client mistakes are counted too; a gate chooses what it looks at. */
  readonly errors: Readonly<Record<string, number>>;
  /** Refused for lack of room or time; these are among `errors` too. */
  readonly shed: number;
};

export type ProviderUse = {
  readonly provider: ProviderName;
  /** Share of the graph's nodes, 0..1. */
  readonly nodes: number;
  /** Share of the run time, 0..1. */
  readonly time: number;
};

export type Report = {
  readonly schema: 1;
  /** New at every start of the runtime: counters began at zero then. */
  readonly bootId: string;
  /** Grows by one a report of this boot. */
  readonly seq: number;
  readonly revision: string;
  readonly model?: { readonly digest: string; readonly precision: Precision };
  readonly providers?: { readonly requested: readonly ProviderName[]; readonly actual: readonly ProviderUse[] };
  readonly ready?: boolean;
  /** Why it is not ready, in words. */
  readonly state?: string;
  readonly warmup?: { readonly done: number; readonly wanted: number };
  readonly traffic?: readonly Traffic[];
  readonly memory?: { readonly limitBytes: number | null; readonly anonymousBytes: number; readonly peakBytes: number; readonly estimateBytes: number };
  readonly queue?: { readonly depth: number; readonly oldestMs: number };
  readonly eventLoopLagMs?: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly cpuThrottledSeconds?: number;
  /** CPU features that decide which kernels run, sorted: avx2, avx512_vnni, amx_int8. */
  readonly node?: { readonly cpuFeatures: readonly string[]; readonly cores: number };
};

/** Upper bound in bytes of a report body after decompression; a larger one is not read. */
export const reportLimitBytes = 1 << 20;
