/**
 * The report of a pod, which its sidecar serves at `GET /report` as JSON with gzip.
 *
 * Terms: The operator judges a candidate, which is meant to replace stable, step by step. A golden run is the answers
 *        of a pod to test inputs (golden inputs). A sample is a live request that stable's pod keeps with its answer; a
 *        replay is the candidate's answer to it. In a shadow step, the candidate has no traffic.
 * Owns:  the schema, from which the types, the check (parse-report.ts) and docs/reference/report.md are made. Counts
 *        are cumulative since boot, so that a lost or repeated report does no harm. Most fields are optional.
 * Units: histograms count durations in seconds. Bucket i counts values in (base * growth^(i-1), base * growth^i]; only
 *        buckets with a count are listed.
 */
import { precisions, providerNames } from './choices.ts';
import { k, type Infer } from './schema/builder.ts';
import { c } from './schema/contract.ts';

/**
 * Length of a block, in seconds. A request counts in the block in which it ended, by the clock of the pod's sidecar.
 * The index of that block is floor(unix seconds / 20).
 */
export const blockSeconds = 20;

/** The block that contains a time. @param ms milliseconds since 1970 */
export function blockAt(ms: number): number {
  return Math.floor(ms / (blockSeconds * 1000));
}

/**
 * The first block that begins at or after a time. The window of a step, in which the gates judge, begins with the first
 * whole block after the candidate got its share of the traffic.
 * @param ms milliseconds since 1970
 */
export function firstWholeBlockAfter(ms: number): number {
  return Math.ceil(ms / 1000 / blockSeconds);
}

/**
 * Sources of pairs. A pair has the service times of one request that both revisions answered; each runtime measures its
 * own time. Replay: the candidate answers a sample. Shadow: the same as Replay, but in a shadow step, when the
 * candidate has no traffic. Probe: both revisions answer a golden input, one after the other.
 */
export const pairSources = ['Replay', 'Probe', 'Shadow'] as const;
export type PairSource = (typeof pairSources)[number];

/**
 * Buckets of the ratio of service times: the candidate's time divided by stable's time. The buckets are 2 % wide and
 * reach from 1/50 to 50; `most` is the index of the last one. A ratio of 1 is in the middle of a bucket; ratios outside
 * the range count in the first or last bucket. The base is 1.02^-197.5, written as a constant so that every version has
 * the same value.
 */
export const ratioBuckets = { growth: 1.02, base: 0.020020092374486417, most: 396 } as const;

/** @param ratio above 0 @returns the bucket of the ratio; the first or last bucket for a ratio outside the range */
export function ratioBucketOf(ratio: number): number {
  const index = Math.ceil(Math.log(ratio / ratioBuckets.base) / Math.log(ratioBuckets.growth) - 1e-9);
  return Math.min(ratioBuckets.most, Math.max(0, index));
}

/** Upper bound of probes per minute for one model; spec.rollout.probes cannot exceed it. */
export const maxProbesPerMinute = 60;

/**
 * Query parameters of `GET /report`, by which the operator controls a sidecar. Level-triggered: each request repeats
 * all instructions that are in force, and an absent parameter switches its function off. All parameters except
 * `blocksFrom` need the revision's token (api/access.ts).
 */
export const reportQuery = {
  /** Report only blocks from this index on. */
  blocksFrom: 'blocksFrom',
  /**
   * IP addresses of ready pods of stable, comma-separated, at most 16. The candidate's golden run and replay send
   * requests to them. The token of these pods is in a header.
   */
  peers: 'peers',
  /** Share of requests, 0 to 1, that this pod keeps as samples for the replay. */
  sample: 'sample',
  /**
   * Metric, and the value from which on two answers agree: `Cosine:0.98`. If the request also has `peers`, this pod
   * replays samples.
   */
  agreement: 'agreement',
  /**
   * `Replay` or `Shadow`: pair the service times of replays and count them under this source. If the request also has
   * `peers`, this pod replays samples.
   */
  pairs: 'pairs',
  /**
   * `PER_MINUTE/PODS`: send probes to both revisions. The PODS pods of the candidate together send PER_MINUTE probes a
   * minute.
   */
  probes: 'probes',
} as const;

/** Upper bound in bytes of a report after decompression. A larger report is not read. */
export const reportLimitBytes = 1 << 20;

/** Upper bound of blocks in a report; a sidecar keeps fewer. */
export const maxReportBlocks = 128;
/**
 * Upper bound of the entries of one block, which has one entry for each tier (interactive or bulk) and size class of
 * requests.
 */
export const maxBlockClasses = 64;
/**
 * Upper bound of the entries of other lists. The longest list has an entry for each tier and size class: a few dozen.
 */
const maxItems = 1024;
/** Upper bound of buckets in a histogram. Histograms of this version have at most 1001 buckets (api/histogram.ts). */
const maxBuckets = 8192;
/** Upper bound of execution providers in a list. */
const maxProviders = 16;

/** A text for names, hashes and tiers. */
const word = (): ReturnType<typeof c.text> => c.text({ max: 256 });
/** A text for sentences. Only the size of the report limits its length. */
const sentence = (): ReturnType<typeof c.text> => c.text({ max: reportLimitBytes });
const amount = (): ReturnType<typeof c.number> => c.number({ min: 0 });
/** Counts by error kind or by reason. */
const countsByWord = () => c.table(c.count(), { keys: '^\\w{1,64}$', max: 64 });

const scaleFields = {
  base: c.number({ above: 0 }).doc('Upper bound of bucket 0: in seconds for a time, without a unit for a ratio.'),
  growth: c.number({ above: 1 }).doc('Ratio of neighbouring bounds; 1.02 is 2 % relative width.'),
};
const histogram = k.object({
  ...scaleFields,
  counts: c
    .table(c.count(), { keys: '^\\d{1,5}$', max: maxBuckets })
    .doc('Number of values by bucket index. Bucket i counts values in (base × growth^(i-1), base × growth^i].'),
});

/** Ratios of service times. Only one scale is accepted, so that histograms can be added. */
const ratios = c.ruled(
  k.object({
    ...scaleFields,
    counts: c
      .table(c.count(), { keys: '^\\d{1,3}$', max: ratioBuckets.most + 1 })
      .doc('Number of values by bucket index. Ratio 1 means as fast as stable.'),
  }),
  ({ base, growth }) =>
    base === ratioBuckets.base && growth === ratioBuckets.growth
      ? undefined
      : { path: '', problem: `must have base ${ratioBuckets.base} and growth ${ratioBuckets.growth}` },
);

/** Counts of one tier and size class. */
const classFields = {
  tier: word().doc("The requests' tier: `default` for interactive requests, or `bulk`."),
  sizeClass: amount().doc('Upper bound of the class: a power of two of input elements (tokens for text).'),
  latency: histogram.doc('How long the requests took, in seconds.'),
  ok: c.count().doc('Requests that were answered.'),
  errors: countsByWord().doc(
    'Failed requests by kind of outcome. Failures that the client caused are included; gates ignore them.',
  ),
};
const traffic = k.object({
  ...classFields,
  shed: c.count().doc('Requests refused for lack of capacity or time; `errors` includes them.'),
  streamed: k
    .object({
      firstByte: histogram.doc('Time to the first byte of an answer, in seconds.'),
      units: c.count().doc('Sum of the outputs, in units of the task, such as tokens.'),
    })
    .doc('Counts of streamed answers, which `ok` includes. Absent: no answer was streamed.')
    .optional(),
});
const blockTraffic = k.object({
  ...classFields,
  compared: c.count().doc("Samples whose answers were compared with stable's. Absent: 0.").optional(),
  disagreed: c.count().doc('Compared answers that disagreed. Absent: 0.').optional(),
  paired: c
    .eachOf(
      pairSources,
      ratios.doc("Ratios of service times, the candidate's divided by stable's. Absent: no pair from this source."),
    )
    .doc(
      'Pairs of service times, by source. They are not live traffic, and the counts above do not include them. ' +
        'Absent: no pairs.',
    )
    .optional(),
});
const block = k.object({
  index: c.count().doc('Unix seconds divided by 20, rounded down, at the end of the requests.'),
  seq: c.count().doc("Increases with every change of the block's counts."),
  traffic: k.list(blockTraffic, { max: maxBlockClasses }).doc('What the pod counted, by tier and size class.'),
});

/** A range of at most `maxReportBlocks` blocks. Each block occurs at most once and is inside the range. */
const blocks = c.ruled(
  k.object({
    since: c.count().doc('Index of the first block.'),
    until: c.count().doc('Index of the last block.'),
    counts: k
      .list(block, { max: maxReportBlocks })
      .doc('Blocks with requests. A block of the range without an entry had no requests.'),
  }),
  ({ since, until, counts }) => {
    const fault = (problem: string) => ({ path: '', problem });
    if (since > until || until - since >= maxReportBlocks)
      return fault(`has blocks ${since} to ${until}; 1 to ${maxReportBlocks} blocks are allowed`);
    const strange = counts.find(({ index }) => index < since || index > until);
    if (strange !== undefined) return fault(`has block ${strange.index}, outside ${since} to ${until}`);
    return new Set(counts.map(({ index }) => index)).size === counts.length ? undefined : fault('has a block twice');
  },
);

const golden = k.object({
  id: word().doc("Identifies the set, the metric and the limit: the config's golden.id."),
  state: k
    .oneOf(['Waiting', 'Running', 'Done', 'Broken'])
    .doc(
      "Waiting: the model or stable's answers are not available yet. Done: the numbers are final. Broken: the set " +
        'cannot be run; `problem` gives the reason.',
    ),
  n: c.count().doc('Cases in the set.'),
  done: c.count().doc('Cases that were run.'),
  passed: c.count().doc('Cases whose own value is within the limit.'),
  score: c.orNull(c.number()).doc('The metric over the whole set, compared with the limit; null before Done.'),
  worst: c.orNull(c.number()).doc('Value of the worst case; null before the first.'),
  compared: c
    .count()
    .doc(
      'Cases whose answer was compared with an expected one, or for which stable failed. When it is less than `n` ' +
        'after Done, no pod of stable was available, and the other answers were only checked for finite numbers; the ' +
        'run is repeated once `peers` is given. Absent: all `n`.',
    )
    .optional(),
  problem: sentence()
    .doc('Waiting, Broken: the reason. Done: the problem of the worst case. Absent: no problem.')
    .optional(),
});

const agreement = k.object({
  compared: c.count().doc('Samples whose answers were compared.'),
  disagreed: c.count().doc('Compared samples that disagreed.'),
  skipped: countsByWord().doc(
    "Samples that were not compared, by reason: this pod refused or failed them, or stable's sidecar had none.",
  ),
  worst: c.orNull(c.number()).doc('Lowest value of the metric seen; null before the first.'),
});

const pairs = k.object({
  paired: c.eachOf(pairSources, c.count().doc('Pairs from this source. Absent: 0.')).doc('Pairs, by source.'),
  skipped: countsByWord().doc('Probes and replays without a pair, by reason.'),
  probeLoad: c
    .orNull(amount())
    .doc("Share of one pod's time that the latest probe took, 0 to 1, of the busier pod; null before the first probe."),
});

const providerUse = k.object({
  provider: k.oneOf(providerNames).doc('The execution provider.'),
  nodes: amount().doc("Share of the graph's nodes, 0 to 1."),
  time: amount().doc('Share of the run time, 0 to 1.'),
});

const model = k.object({
  digest: word().doc('SHA-256 of the served files.'),
  precision: k.oneOf(precisions).doc('Served precision: Source, or a variant.'),
});
const providers = k.object({
  requested: k.list(k.oneOf(providerNames), { max: maxProviders }).doc('In order of preference.'),
  actual: k.list(providerUse, { max: maxProviders }).doc('Providers that ran the model.'),
});
const memory = k.object({
  limitBytes: c.orNull(amount()).doc("The container's limit; null: no limit."),
  anonymousBytes: amount().doc('Anonymous memory in use.'),
  peakBytes: amount().doc('Highest use of anonymous memory.'),
  estimateBytes: amount().doc('Measured need of loading and one run.'),
  allocation: sentence()
    .doc('How sessions get memory for intermediate results, and why, in words. Absent: not known.')
    .optional(),
});

/** The report. An optional field may be absent because the version of the sidecar does not count it. */
export const reportSchema = k.object({
  schema: c.only(1).doc('Version of this contract.'),
  bootId: word().doc('Changes at every start of the runtime, when counters start at zero.'),
  seq: amount().doc('Increases by one with each report of this boot.'),
  revision: word().doc("The pod's revision."),
  model: model.doc('The served model. Absent: not loaded yet.').optional(),
  providers: providers.doc('Execution providers. Absent: not known.').optional(),
  ready: k.boolean().doc('Whether the pod may get traffic. Absent: not known.').optional(),
  state: sentence().doc('Why the pod is not ready, in words. Absent: not known.').optional(),
  warmup: k
    .object({
      done: amount().doc('Finished warm-up runs.'),
      wanted: amount().doc('Configured warm-up runs.'),
    })
    .doc('Progress of the warm-up. Absent: not known.')
    .optional(),
  traffic: k
    .list(traffic, { max: maxItems })
    .doc('Requests since boot, by tier and size class. Absent: not counted.')
    .optional(),
  blocks: blocks.doc('Requests in blocks of 20 seconds. Absent: not counted.').optional(),
  golden: golden
    .doc('Result of the golden set, which is run once for each start of the sidecar. Absent: no golden set.')
    .optional(),
  agreement: agreement
    .doc("Live requests of stable replayed to this pod, since the sidecar's start. Absent: no replay.")
    .optional(),
  pairs: pairs
    .doc("Service times of this pod that were paired with stable's, since the sidecar's start. Absent: no pairs.")
    .optional(),
  memory: memory.doc("The runtime container's memory. Absent: not measured.").optional(),
  queue: k
    .object({
      depth: amount().doc('Number of requests in the queue.'),
      oldestMs: amount().doc('How long the oldest of them has waited, in milliseconds.'),
    })
    .doc("The runtime's queue. Absent: not measured.")
    .optional(),
  eventLoopLagMs: k
    .object({
      p50: amount().doc('Median, in milliseconds.'),
      p99: amount().doc('99th percentile, in milliseconds.'),
      max: amount().doc('Largest value, in milliseconds.'),
    })
    .doc("Lag of the HTTP thread's event loop. Absent: not measured.")
    .optional(),
  cpuThrottledSeconds: amount()
    .doc('CPU time that the cgroup withheld, in seconds since its start. Absent: not measured.')
    .optional(),
  node: k
    .object({
      cpuFeatures: k
        .list(sentence(), { max: maxItems })
        .doc('Features of the CPU by which kernels are selected, sorted, such as avx2, avx512_vnni, amx_int8.'),
      cores: amount().doc('CPU cores of the machine.'),
    })
    .doc('The machine. Absent: not known.')
    .optional(),
});

export type Report = Infer<typeof reportSchema>;
export type Histogram = Infer<typeof histogram>;
export type Traffic = Infer<typeof traffic>;
/** Histograms of the ratio of service times, by source. A ratio of 1 means as fast as stable. */
export type PairedRatios = NonNullable<BlockTraffic['paired']>;
/** Counts of one pod, block, tier and size class. */
export type BlockTraffic = Infer<typeof blockTraffic>;
export type BlockCount = Infer<typeof block>;
/** Blocks from `since` to `until`. A block without an entry had no requests. */
export type Blocks = Infer<typeof blocks>;
export type GoldenResult = Infer<typeof golden>;
export type Agreement = Infer<typeof agreement>;
export type Pairs = Infer<typeof pairs>;
export type ProviderUse = Infer<typeof providerUse>;
