/**
 * What a sidecar tells the operator about its pod: `GET /report`, JSON, gzip.
 *
 * Owns:  the schema, from which the types, the check (parse-report.ts) and docs/reference/report.md are made.
 *        Cumulative since boot, so that merging is adding and a lost or repeated report changes
 *        nothing. Every field but the first four is optional for the reader: silence is no information.
 * Units: histograms in seconds, sparse: bucket i counts values in (base * growth^(i-1), base * growth^i].
 */
import { precisions, providerNames } from './choices.ts';
import { k, type Infer } from './schema/builder.ts';
import { c } from './schema/contract.ts';

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

/** Probes of one model, whatever is asked for: a trickle beside anybody's traffic. */
export const maxProbesPerMinute = 60;

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

/** Upper bound in bytes of a report body after decompression; a larger one is not read. */
export const reportLimitBytes = 1 << 20;

/** Blocks of a report: more than a sidecar keeps. */
export const maxReportBlocks = 128;
/** Tiers times size classes of one block. */
export const maxBlockClasses = 64;
/** Tiers times size classes are dozens; a reader must not loop over more. */
const maxItems = 1024;
/** Buckets of 2 % from a tenth of a millisecond to a day are 1100. */
const maxBuckets = 8192;
/** A runtime knows a handful of providers. */
const maxProviders = 16;

/** Names, hashes and tiers. */
const word = (): ReturnType<typeof c.text> => c.text({ max: 256 });
/** Sentences: bounded by the report itself. */
const sentence = (): ReturnType<typeof c.text> => c.text({ max: reportLimitBytes });
const amount = (): ReturnType<typeof c.number> => c.number({ min: 0 });
/** Kinds of errors and reasons: a dozen words. */
const countsByWord = () => c.table(c.count(), { keys: '^\\w{1,64}$', max: 64 });

const scaleFields = {
  base: c.number({ above: 0 }).doc('Upper bound of bucket 0, in seconds; of a ratio, in its own unit.'),
  growth: c.number({ above: 1 }).doc('Ratio of neighbouring bounds; 1.02 is 2 % relative width.'),
};
const histogram = k.object({
  ...scaleFields,
  counts: c
    .table(c.count(), { keys: '^\\d{1,5}$', max: maxBuckets })
    .doc('Bucket index to count. Bucket i counts values in (base × growth^(i-1), base × growth^i].'),
});

/** A ratio has 397 buckets. Nothing else is read of ratios, so that adding them needs no other scale. */
const ratios = c.ruled(
  k.object({
    ...scaleFields,
    counts: c
      .table(c.count(), { keys: '^\\d{1,3}$', max: ratioBuckets.most + 1 })
      .doc('Bucket index to count. 1 is as fast as stable.'),
  }),
  ({ base, growth }) =>
    base === ratioBuckets.base && growth === ratioBuckets.growth
      ? undefined
      : { path: '', problem: 'has buckets that are not those of a ratio' },
);

/** Requests of one tier and input-size class. */
const classFields = {
  tier: word().doc('Which tier the requests belong to: `default` for interactive requests, or `bulk`.'),
  sizeClass: amount().doc('Power of two of input elements (tokens for text) that bounds the class from above.'),
  latency: histogram.doc('How long the requests took, in seconds.'),
  ok: c.count().doc('Requests that were answered.'),
  errors: countsByWord().doc(
    "Kind of outcome to count. What is the client's fault is counted too; a gate does not look at it.",
  ),
};
const traffic = k.object({
  ...classFields,
  shed: c.count().doc('Requests refused for lack of room or time; these are among `errors` too.'),
  streamed: k
    .object({
      firstByte: histogram.doc('How long the first byte took, in seconds.'),
      units: c.count().doc('Output in units of the task, such as tokens.'),
    })
    .doc('Of the streamed answers among `ok`. Absent: none was streamed.')
    .optional(),
});
const blockTraffic = k.object({
  ...classFields,
  compared: c
    .count()
    .doc("Sampled requests whose answers were compared with stable's. Absent: none was compared.")
    .optional(),
  disagreed: c.count().doc('Compared answers that disagreed. Absent: none was compared.').optional(),
  paired: c
    .eachOf(
      pairSources,
      ratios.doc("Ratio of service times, the candidate's to stable's, from this source. Absent: it gave no pair."),
    )
    .doc(
      'Service times of a candidate that were paired, by source. They are not live traffic, and not in the counts ' +
        'above. Absent: none.',
    )
    .optional(),
});
const block = k.object({
  index: c.count().doc('Unix seconds divided by 20, rounded down, at the end of the requests.'),
  seq: c.count().doc("Grows with every change of the block's counts."),
  traffic: k.list(blockTraffic, { max: maxBlockClasses }).doc('What the pod counted, by tier and size class.'),
});

/** Blocks are what they claim to be: each once, in the range, and no range that takes long to walk. */
const blocks = c.ruled(
  k.object({
    since: c.count().doc('Index of the first block.'),
    until: c.count().doc('Index of the last block.'),
    counts: k
      .list(block, { max: maxReportBlocks })
      .doc('Every block that the pod served in; those between without an entry were quiet.'),
  }),
  ({ since, until, counts }) => {
    const fault = (problem: string) => ({ path: '', problem });
    if (since > until || until - since >= maxReportBlocks)
      return fault(`claims blocks ${since} to ${until}, not 1 to ${maxReportBlocks} of them`);
    const strange = counts.find(({ index }) => index < since || index > until);
    if (strange !== undefined) return fault(`has block ${strange.index}, which is not in ${since} to ${until}`);
    return new Set(counts.map(({ index }) => index)).size === counts.length ? undefined : fault('has a block twice');
  },
);

const golden = k.object({
  id: word().doc("Which set, metric and limit were run: the config's golden.id."),
  state: k
    .oneOf(['Waiting', 'Running', 'Done', 'Broken'])
    .doc(
      "Waiting: for the model, or for stable's answers. Done: the numbers are final. Broken: the set cannot be run, " +
        '`problem` says why.',
    ),
  n: c.count().doc('Cases in the set.'),
  done: c.count().doc('Cases that were run.'),
  passed: c.count().doc('Cases that met the limit by themselves.'),
  score: c.orNull(c.number()).doc('The metric over the whole set, which the limit is compared with; null before Done.'),
  worst: c.orNull(c.number()).doc('Value of the worst single case; null before the first.'),
  compared: c
    .count()
    .doc(
      'Cases whose answer was compared with a right one, or for which stable failed to give one. Fewer than `n` when ' +
        'Done: stable was not there, and the others were only asked for finite numbers; the run begins again once ' +
        'peers are named. Absent: all of `n`.',
    )
    .optional(),
  problem: sentence()
    .doc('Waiting, Broken: why. Done: what is wrong with the worst case. Absent: nothing is wrong.')
    .optional(),
});

const agreement = k.object({
  compared: c.count().doc('Samples whose answers were compared.'),
  disagreed: c.count().doc('Compared samples that disagreed.'),
  skipped: countsByWord().doc(
    "Samples not compared: this pod refused or failed them, or stable's sidecar had none; by reason.",
  ),
  worst: c.orNull(c.number()).doc('Lowest value of the metric seen; null before the first.'),
});

const pairs = k.object({
  paired: c.eachOf(pairSources, c.count().doc('Pairs from this source. Absent: none.')).doc('Pairs, by source.'),
  skipped: countsByWord().doc('Probes and replays that gave no pair, by reason.'),
  probeLoad: c
    .orNull(amount())
    .doc(
      "The largest share of one pod's time that the latest probe and its pause took, 0 to 1; null before the first.",
    ),
});

const providerUse = k.object({
  provider: k.oneOf(providerNames).doc('The execution provider.'),
  nodes: amount().doc("Share of the graph's nodes, 0 to 1."),
  time: amount().doc('Share of the run time, 0 to 1.'),
});

const model = k.object({
  digest: word().doc('SHA-256 of what is served.'),
  precision: k.oneOf(precisions).doc('What is served: Source, or a variant.'),
});
const providers = k.object({
  requested: k.list(k.oneOf(providerNames), { max: maxProviders }).doc('In order of preference.'),
  actual: k.list(providerUse, { max: maxProviders }).doc('Which providers ran the model.'),
});
const memory = k.object({
  limitBytes: c.orNull(amount()).doc("The container's limit; null: it has none."),
  anonymousBytes: amount().doc('Anonymous memory in use.'),
  peakBytes: amount().doc('Most anonymous memory that was in use.'),
  estimateBytes: amount().doc('What loading and one run were measured to need.'),
});

/** The whole report. What is optional for the reader may be absent because a version does not count it. */
export const reportSchema = k.object({
  schema: c.only(1).doc('Version of this contract.'),
  bootId: word().doc('New at every start of the runtime: counters began at zero then.'),
  seq: amount().doc('Grows by one with each report of this boot.'),
  revision: word().doc('Which revision the pod belongs to.'),
  model: model.doc('What is served. Absent: not loaded yet.').optional(),
  providers: providers.doc('Execution providers. Absent: not known.').optional(),
  ready: k.boolean().doc('Whether the pod may get traffic. Absent: not known.').optional(),
  state: sentence().doc('Why it is not ready, in words. Absent: not known.').optional(),
  warmup: k
    .object({
      done: amount().doc('Warm-up runs that were done.'),
      wanted: amount().doc('Warm-up runs that were asked for.'),
    })
    .doc('How far the warm-up is. Absent: not known.')
    .optional(),
  traffic: k
    .list(traffic, { max: maxItems })
    .doc('Requests since boot, by tier and size class. Absent: not counted.')
    .optional(),
  blocks: blocks.doc('Requests in blocks of 20 seconds. Absent: not counted.').optional(),
  golden: golden
    .doc('How the golden set went, once for each boot of the sidecar and set. Absent: none was asked for.')
    .optional(),
  agreement: agreement
    .doc("Live requests of stable replayed to this pod, since the sidecar's start. Absent: none.")
    .optional(),
  pairs: pairs
    .doc("Service times of this pod that were paired with stable's, since the sidecar's start. Absent: none.")
    .optional(),
  memory: memory.doc('What the runtime container uses. Absent: not measured.').optional(),
  queue: k
    .object({
      depth: amount().doc('Requests that wait.'),
      oldestMs: amount().doc('How long the oldest of them has waited.'),
    })
    .doc('Requests that wait in the runtime. Absent: not measured.')
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
        .doc('Features of the CPU that decide which kernels run, sorted: avx2, avx512_vnni, amx_int8.'),
      cores: amount().doc('CPU cores of the machine.'),
    })
    .doc('The machine. Absent: not known.')
    .optional(),
});

export type Report = Infer<typeof reportSchema>;
export type Histogram = Infer<typeof histogram>;
export type Traffic = Infer<typeof traffic>;
/** Histograms of the ratio of service times, by source. In their own units: 1 is as fast as stable. */
export type PairedRatios = NonNullable<BlockTraffic['paired']>;
/** What one pod counted in one block, of one tier and size class. */
export type BlockTraffic = Infer<typeof blockTraffic>;
export type BlockCount = Infer<typeof block>;
/** Every block from `since` to `until` that the pod served in; those between without an entry were quiet. */
export type Blocks = Infer<typeof blocks>;
export type GoldenResult = Infer<typeof golden>;
export type Agreement = Infer<typeof agreement>;
export type Pairs = Infer<typeof pairs>;
export type ProviderUse = Infer<typeof providerUse>;
