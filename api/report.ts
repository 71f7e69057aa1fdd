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
  /** Kind of outcome (api/outcomes.ts) → count. What is the client's fault is counted too; a gate does not look at it. */
  readonly errors: Readonly<Record<string, number>>;
  /** Refused for lack of room or time; these are among `errors` too. */
  readonly shed: number;
};

/** Length of a block, in seconds. A block's index is floor(unix seconds / 20) by the clock of the pod's sidecar at a request's end. */
export const blockSeconds = 20;

/** The block that a moment lies in. @param ms since 1970 */
export function blockAt(ms: number): number {
  return Math.floor(ms / (blockSeconds * 1000));
}

/** The first block that lies wholly after a moment: where a window begins once its weight was verified. @param ms since 1970 */
export function firstWholeBlockAfter(ms: number): number {
  return Math.ceil(ms / 1000 / blockSeconds);
}

/** What one pod counted in one block, of one tier and size class. */
export type BlockTraffic = {
  readonly tier: string;
  readonly sizeClass: number;
  readonly latency: Histogram;
  readonly ok: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Sampled requests whose answers were compared with stable's, and those that disagreed. */
  readonly compared?: number;
  readonly disagreed?: number;
};

export type BlockCount = {
  readonly index: number;
  /** Grows with every change of the block's counts. */
  readonly seq: number;
  readonly traffic: readonly BlockTraffic[];
};

/** Every block from `since` to `until` that the pod served in; those between without an entry were quiet. */
export type Blocks = { readonly since: number; readonly until: number; readonly counts: readonly BlockCount[] };

/** How the golden set went, once per boot of the sidecar and set. */
export type GoldenResult = {
  /** Which set, metric and limit were run: RuntimeConfig.golden.id. */
  readonly id: string;
  /** Waiting: for the model, or for stable's answers. Done: the numbers are final. Broken: the set cannot be run, `problem` says why. */
  readonly state: 'Waiting' | 'Running' | 'Done' | 'Broken';
  /** Cases in the set; those done; those that met the limit by themselves. */
  readonly n: number;
  readonly done: number;
  readonly passed: number;
  /** The metric over the whole set, which the limit is held against; null before Done. */
  readonly score: number | null;
  /** The worst single case's value; null before the first. */
  readonly worst: number | null;
  /**
   * Cases whose answer was held against a right one, or for which stable failed to give one. Fewer than `n` when Done:
   * stable was not there, and the others were only asked for finite numbers; the run begins again once peers are named.
   */
  readonly compared?: number;
  /** Waiting, Broken: why. Done: what is wrong with the worst case. */
  readonly problem?: string;
};

/** Live requests of stable replayed to this pod, since the sidecar's start. */
export type Agreement = {
  readonly compared: number;
  readonly disagreed: number;
  /** Samples not compared: this pod refused or failed them, or stable's sidecar had none; by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Lowest value of the metric seen; null before the first. */
  readonly worst: number | null;
};

/**
 * What the operator says when it asks for a report, as query parameters of `GET /report`. It is level-triggered: each
 * request says everything again, and what is left out is off. All but `blocksFrom` need the revision's token (api/access.ts).
 */
export const reportQuery = {
  /** Only blocks from this index on. */
  blocksFrom: 'blocksFrom',
  /** IP addresses of stable's ready pods, comma-separated: whom a candidate's golden run and replay ask. At most 16. Their token is in a header. */
  peers: 'peers',
  /** Share of requests, 0..1, that this pod is to keep for a candidate's replay. */
  sample: 'sample',
  /** How answers are compared and from which value on they agree: `Cosine:0.98`. With `peers`, this pod replays. */
  agreement: 'agreement',
} as const;

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
  readonly blocks?: Blocks;
  readonly golden?: GoldenResult;
  readonly agreement?: Agreement;
  readonly memory?: { readonly limitBytes: number | null; readonly anonymousBytes: number; readonly peakBytes: number; readonly estimateBytes: number };
  readonly queue?: { readonly depth: number; readonly oldestMs: number };
  readonly eventLoopLagMs?: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly cpuThrottledSeconds?: number;
  /** CPU features that decide which kernels run, sorted: avx2, avx512_vnni, amx_int8. */
  readonly node?: { readonly cpuFeatures: readonly string[]; readonly cores: number };
};

/** Upper bound in bytes of a report body after decompression; a larger one is not read. */
export const reportLimitBytes = 1 << 20;
