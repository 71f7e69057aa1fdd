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
  /**
   * Kind of outcome (api/outcomes.ts) → count. What is the client's fault is counted too; a gate does not look at it.
   */
  readonly errors: Readonly<Record<string, number>>;
  /** Refused for lack of room or time; these are among `errors` too. */
  readonly shed: number;
  /** Of streamed answers among `ok`: time to the first byte, and their output in units of the task, such as tokens. */
  readonly streamed?: { readonly firstByte: Histogram; readonly units: number };
};

/**
 * Length of a block, in seconds. A block's index is floor(unix seconds / 20) by the clock of the pod's sidecar at a
 * request's end.
 */
export const blockSeconds = 20;

/** The block that a moment lies in. @param ms since 1970 */
export function blockAt(ms: number): number {
  return Math.floor(ms / (blockSeconds * 1000));
}

/**
 * The first block that lies wholly after a moment: where a window begins once its weight was verified. @param ms since
 * 1970
 */
export function firstWholeBlockAfter(ms: number): number {
  return Math.ceil(ms / 1000 / blockSeconds);
}

/**
 * Where paired service times come from: the same request, answered by both revisions, each time measured by the runtime
 * that answered. Replay: a live request that stable answered, asked of the candidate too. Shadow: the same in a shadow
 * step, when the candidate has no traffic. Probe: a golden input asked of both, one after the other; nobody's request.
 */
export const pairSources = ['Replay', 'Probe', 'Shadow'] as const;
export type PairSource = (typeof pairSources)[number];

/**
 * Buckets of a ratio, candidate's over stable's: 2 % wide, from 1/50 to 50, and equal times lie in the middle of one.
 * Values beyond are in the end buckets. The base is 1.02^-197.5, written out so that all versions have the same.
 */
export const ratioBuckets = { growth: 1.02, base: 0.020020092374486417, most: 396 } as const;

/** @param ratio above 0 @returns its bucket, the end one for what is beyond */
export function ratioBucketOf(ratio: number): number {
  const index = Math.ceil(Math.log(ratio / ratioBuckets.base) / Math.log(ratioBuckets.growth) - 1e-9);
  return Math.min(ratioBuckets.most, Math.max(0, index));
}

/** Histograms of the ratio of service times, by source. In their own units: 1 is as fast as stable. */
export type PairedRatios = Readonly<Partial<Record<PairSource, Histogram>>>;

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
  /** Of a candidate: never live traffic, and in none of the counts above. */
  readonly paired?: PairedRatios;
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
  /**
   * Waiting: for the model, or for stable's answers. Done: the numbers are final. Broken: the set cannot be run,
   * `problem` says why.
   */
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

/** Probes of one model, whatever is asked for: a trickle beside anybody's traffic. */
export const maxProbesPerMinute = 60;

/** Service times of this pod that were paired with stable's, since the sidecar's start. */
export type Pairs = {
  readonly paired: Readonly<Partial<Record<PairSource, number>>>;
  /** Probes and replays that gave no pair, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** The largest share of one pod's time that the latest probe and its pause took, 0..1; null before the first. */
  readonly probeLoad: number | null;
};

/**
 * What the operator says when it asks for a report, as query parameters of `GET /report`. It is level-triggered: each
 * request says everything again, and what is left out is off. All but `blocksFrom` need the revision's token
 * (api/access.ts).
 */
export const reportQuery = {
  /** Only blocks from this index on. */
  blocksFrom: 'blocksFrom',
  /**
   * IP addresses of stable's ready pods, comma-separated: whom a candidate's golden run and replay ask. At most 16.
   * Their token is in a header.
   */
  peers: 'peers',
  /** Share of requests, 0..1, that this pod is to keep for a candidate's replay. */
  sample: 'sample',
  /** How answers are compared and from which value on they agree: `Cosine:0.98`. With `peers`, this pod replays. */
  agreement: 'agreement',
  /**
   * `Replay` or `Shadow`: pair the service times of replays, and count them as this. With `peers`, this pod replays.
   */
  pairs: 'pairs',
  /** `PER_MINUTE/PODS`: ask golden inputs of both revisions, so many a minute over so many pods of the candidate. */
  probes: 'probes',
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
  readonly pairs?: Pairs;
  readonly memory?: {
    readonly limitBytes: number | null;
    readonly anonymousBytes: number;
    readonly peakBytes: number;
    readonly estimateBytes: number;
  };
  readonly queue?: { readonly depth: number; readonly oldestMs: number };
  readonly eventLoopLagMs?: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly cpuThrottledSeconds?: number;
  /** CPU features that decide which kernels run, sorted: avx2, avx512_vnni, amx_int8. */
  readonly node?: { readonly cpuFeatures: readonly string[]; readonly cores: number };
};

/** Upper bound in bytes of a report body after decompression; a larger one is not read. */
export const reportLimitBytes = 1 << 20;
