/**
 * Reads a report back (api/report.ts): what is known must have its type, what is not known is let be.
 *
 * Owns:  which field has which type, as one table. The sidecar checks what the runtime counted with it, the operator
 *        what a sidecar sent: both come from another process, perhaps of another version, perhaps not ours.
 * Pure:  never throws. A report with one wrong type is no report: half of the numbers would be worse than none.
 */
import { isRecord } from './record.ts';
import { cut } from './text.ts';
import { pairSources, ratioBuckets, type Blocks, type GoldenResult, type Histogram, type Report } from './report.ts';
import type { Precision, ProviderName } from './runtime-config.ts';

export type ParsedReport =
  { readonly kind: 'report'; readonly report: Report } | { readonly kind: 'unusable'; readonly problem: string };

/** @returns what is wrong with the value at `path`, or undefined */
type Check = (value: unknown, path: string) => string | undefined;
type Fields = Readonly<Record<string, Check>>;

const precisions = ['Source', 'FP32', 'FP16', 'INT8', 'INT4'] as const satisfies readonly Precision[];
const providers = ['CPU', 'CUDA', 'TensorRT', 'WebGPU'] as const satisfies readonly ProviderName[];

/** Tiers times size classes are dozens; a reader must not loop over more. */
const listLimit = 1024;
/** Blocks of a report: more than a sidecar keeps. */
export const maxReportBlocks = 128;
/** Tiers times size classes of one block. */
export const maxBlockClasses = 64;
/** Buckets of 2 % from a tenth of a millisecond to a day are 1100. */
const mapLimit = 8192;

/** Names, hashes and tiers. */
const wordLimit = 256;
/** A runtime knows a handful of providers. */
const providerLimit = 16;

const text: Check = (value, path) => (typeof value === 'string' ? undefined : `${path} is not a string`);
const word: Check = (value, path) =>
  text(value, path) ??
  ((value as string).length > wordLimit ? `${path} has more than ${wordLimit} characters` : undefined);
const truth: Check = (value, path) => (typeof value === 'boolean' ? undefined : `${path} is not true or false`);
const amount: Check = (value, path) =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0
    ? undefined
    : `${path} is not a number of at least 0`;
const numberOrNull: Check = (value, path) =>
  value === null || Number.isFinite(value) ? undefined : `${path} is neither a number nor null`;
const whole: Check = (value, path) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : `${path} is not a whole number of at least 0`;
const aboveZero: Check = (value, path) =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? undefined : `${path} is not a number above 0`;
/** A growth of 1 or less would put every bucket at the same place. */
const aboveOne: Check = (value, path) =>
  typeof value === 'number' && Number.isFinite(value) && value > 1 ? undefined : `${path} is not a number above 1`;
const amountOrNull: Check = (value, path) => (value === null ? undefined : amount(value, path));

function oneOf(words: readonly string[]): Check {
  return (value, path) =>
    typeof value === 'string' && words.includes(value) ? undefined : `${path} is not one of ${words.join(', ')}`;
}

function listOf(item: Check, limit = listLimit): Check {
  return (value, path) => {
    if (!Array.isArray(value)) return `${path} is not a list`;
    if (value.length > limit) return `${path} has ${value.length} items, more than ${limit}`;
    return firstProblem(value.map((each: unknown, index) => () => item(each, `${path}[${index}]`)));
  };
}

/** @param keys what every key must look like */
function mapOf(item: Check, keys: RegExp, limit = mapLimit): Check {
  return (value, path) => {
    if (!isRecord(value)) return `${path} is not an object`;
    const entries = Object.entries(value);
    if (entries.length > limit) return `${path} has ${entries.length} entries, more than ${limit}`;
    const strange = entries.find(([key]) => !keys.test(key));
    if (strange !== undefined)
      return `${path} has a key that does not belong there: ${JSON.stringify(strange[0].slice(0, 40))}`;
    return firstProblem(
      entries.map(
        ([key, each]) =>
          () =>
            item(each, `${path}.${key}`),
      ),
    );
  };
}

/** An object whose `required` fields are there and whose `optional` ones are right when they are. */
function shape(required: Fields, optional: Fields = {}): Check {
  return (value, path) => {
    if (!isRecord(value)) return `${path} is not an object`;
    const must = Object.entries(required).map(
      ([name, check]) =>
        () =>
          check(value[name], join(path, name)),
    );
    const may = Object.entries(optional).map(
      ([name, check]) =>
        () =>
          value[name] === undefined ? undefined : check(value[name], join(path, name)),
    );
    return firstProblem([...must, ...may]);
  };
}

/** Kinds of errors, reasons: a dozen words. */
const countsByWord = mapOf(whole, /^\w{1,64}$/, 64);
const histogram = shape({ base: aboveZero, growth: aboveOne, counts: mapOf(whole, /^\d{1,5}$/) });
/** A ratio has 397 buckets: of ratios nothing else is read, so that adding them needs no other scale. */
const ratios: Check = (value, path) =>
  shape({ base: aboveZero, growth: aboveOne, counts: mapOf(whole, /^\d{1,3}$/, ratioBuckets.most + 1) })(value, path) ??
  ofOneScale(value as Histogram, path);
const sources = (item: Check): Fields => Object.fromEntries(pairSources.map((source) => [source, item]));
const traffic = shape(
  { tier: word, sizeClass: amount, latency: histogram, ok: whole, errors: countsByWord, shed: whole },
  { streamed: shape({ firstByte: histogram, units: whole }) },
);
const blockTraffic = shape(
  { tier: word, sizeClass: amount, latency: histogram, ok: whole, errors: countsByWord },
  { compared: whole, disagreed: whole, paired: shape({}, sources(ratios)) },
);
const blockList = shape({
  since: whole,
  until: whole,
  counts: listOf(shape({ index: whole, seq: whole, traffic: listOf(blockTraffic, maxBlockClasses) }), maxReportBlocks),
});
const golden = shape(
  {
    id: word,
    state: oneOf(['Waiting', 'Running', 'Done', 'Broken'] satisfies readonly GoldenResult['state'][]),
    n: whole,
    done: whole,
    passed: whole,
    score: numberOrNull,
    worst: numberOrNull,
  },
  { compared: whole, problem: text },
);
const agreement = shape({ compared: whole, disagreed: whole, skipped: countsByWord, worst: numberOrNull });
const pairs = shape({ paired: shape({}, sources(whole)), skipped: countsByWord, probeLoad: amountOrNull });
const reportShape = shape(
  { bootId: word, seq: amount, revision: word },
  {
    model: shape({ digest: word, precision: oneOf(precisions) }),
    providers: shape({
      requested: listOf(oneOf(providers), providerLimit),
      actual: listOf(shape({ provider: oneOf(providers), nodes: amount, time: amount }), providerLimit),
    }),
    ready: truth,
    state: text,
    warmup: shape({ done: amount, wanted: amount }),
    traffic: listOf(traffic),
    blocks,
    golden,
    agreement,
    pairs,
    memory: shape({ limitBytes: amountOrNull, anonymousBytes: amount, peakBytes: amount, estimateBytes: amount }),
    queue: shape({ depth: amount, oldestMs: amount }),
    eventLoopLagMs: shape({ p50: amount, p99: amount, max: amount }),
    cpuThrottledSeconds: amount,
    node: shape({ cpuFeatures: listOf(text), cores: amount }),
  },
);

function ofOneScale({ base, growth }: Histogram, path: string): string | undefined {
  return base === ratioBuckets.base && growth === ratioBuckets.growth
    ? undefined
    : `${path} has buckets that are not those of a ratio`;
}

/** Blocks, and that they are what they claim to be: each once, in the range, and no range that takes long to walk. */
function blocks(value: unknown, path: string): string | undefined {
  const problem = blockList(value, path);
  if (problem !== undefined) return problem;
  const { since, until, counts } = value as Blocks;
  if (since > until || until - since >= maxReportBlocks)
    return `${path} claims blocks ${since} to ${until}, not 1 to ${maxReportBlocks} of them`;
  const strange = counts.find(({ index }) => index < since || index > until);
  if (strange !== undefined) return `${path} has block ${strange.index}, which is not in ${since} to ${until}`;
  return new Set(counts.map(({ index }) => index)).size === counts.length ? undefined : `${path} has a block twice`;
}

/** @param value what `JSON.parse` gave; bounded by the caller before it was parsed */
export function parseReport(value: unknown): ParsedReport {
  if (!isRecord(value)) return { kind: 'unusable', problem: 'the report is not an object' };
  if (value['schema'] !== 1)
    return {
      kind: 'unusable',
      problem: `the report has schema ${cut(JSON.stringify(value['schema'] ?? null), 40)}, this reader knows 1`,
    };
  const problem = reportShape(value, '');
  return problem === undefined ? { kind: 'report', report: value as Report } : { kind: 'unusable', problem };
}

function firstProblem(checks: readonly (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const problem = check();
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
