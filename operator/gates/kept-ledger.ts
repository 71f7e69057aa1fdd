/**
 * Serialises a ledger to text that fits into a ConfigMap, and parses it.
 *
 * Terms: A ledger has the counts of every pod, in blocks of 20 seconds. A window is the blocks by which a step of the
 * rollout is judged. A row is the counts of one block, of one tier and size of requests. A pair is the service times of
 * the same request on stable and on the candidate.
 * Owns: the format (base64 of gzipped JSON). If the text is too long, the oldest blocks of all pods are dropped; the
 * caller must continue with the returned ledger, so that a restart does not change a verdict.
 * Pure.
 * Limits: `keptLimitChars` of text, `unpackedLimitBytes` of JSON.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { isRecord } from '../../api/record.ts';
import { pairSources, ratioBuckets, type BlockCount, type BlockTraffic, type PairedRatios } from '../../api/report.ts';
import { blocksPerGroup } from '../analysis/constants.ts';
import { forgetBefore, type Boot, type Ledger } from '../analysis/ledger.ts';
import { fromReport, type LatencyCounts } from '../analysis/log-histogram.ts';
import { ratioScale } from '../analysis/paired-series.ts';
import type { Block } from '../rollout/state.ts';

/** `from`: the first block that the ledger may contain; older blocks were dropped. */
export type KeptLedger = { readonly from: Block; readonly ledger: Ledger };

/** The maximum length of the text. It is well below the 1 MiB that a ConfigMap can hold. */
export const keptLimitChars = 700_000;
const unpackedLimitBytes = 32 << 20;
export type KeptLimits = { readonly chars: number; readonly jsonBytes: number };
const keptLimits: KeptLimits = { chars: keptLimitChars, jsonBytes: unpackedLimitBytes };
/** The scale of stored counts. It equals the scale of reports (log-histogram.ts, reportScale). */
const scale = { base: 1e-4, growth: 1.02 } as const;
const version = 1;

/**
 * Serialises a ledger. Returns the text, and the ledger that the text contains.
 *
 * @param window first block of the window; blocks are dropped in groups of one minute, counted from this block
 */
export function packLedger(
  kept: KeptLedger,
  window: Block,
  limits: Partial<KeptLimits> = {},
): KeptLedger & { readonly text: string } {
  const { chars, jsonBytes } = { ...keptLimits, ...limits };
  let { from, ledger } = kept;
  for (;;) {
    const json = jsonOf({ from, ledger });
    // Do not compress JSON beyond the limit, because it could not be read back.
    const text = json.length > jsonBytes ? undefined : gzipSync(json).toString('base64');
    if (text !== undefined && (text.length <= chars || Object.keys(ledger).length === 0)) return { from, ledger, text };
    const oldest = Math.max(from, firstBlockOf(ledger));
    const span = lastBlockOf(ledger) - oldest + 1;
    const fits = text === undefined ? jsonBytes / json.length : chars / text.length;
    const next = oldest + Math.max(1, Math.ceil(span * (1 - 0.95 * fits)));
    from = window + Math.ceil((next - window) / blocksPerGroup) * blocksPerGroup;
    ledger = forgetBefore(ledger, from);
  }
}

function firstBlockOf(ledger: Ledger): Block {
  return Math.min(...Object.values(ledger).flatMap((boot) => boot.heard.map(([from]) => from)));
}

function lastBlockOf(ledger: Ledger): Block {
  return Math.max(...Object.values(ledger).flatMap((boot) => boot.heard.map(([, to]) => to)));
}

function jsonOf({ from, ledger }: KeptLedger): Buffer {
  const boots = Object.keys(ledger)
    .toSorted()
    .map((key) => [key, bootRow(ledger[key])]);
  return Buffer.from(JSON.stringify([version, from, boots]));
}

function bootRow(boot: Boot | undefined): unknown {
  if (boot === undefined) return undefined;
  const blocks = Object.values(boot.blocks).map((block) => [block.index, block.seq, block.traffic.map(trafficRow)]);
  return [boot.pod, boot.revision, boot.heard, blocks];
}

/**
 * The pairs are the last element of a row, and may be absent. A row without pairs therefore equals a row of an earlier
 * version, which did not store pairs.
 */
function trafficRow({ tier, sizeClass, ok, errors, compared, disagreed, latency, paired }: BlockTraffic): unknown {
  const row = [tier, sizeClass, ok, errors, compared ?? null, disagreed ?? null, ...countsRow(fromReport(latency))];
  return paired === undefined ? row : [...row, pairedRow(paired)];
}

function pairedRow(paired: PairedRatios): unknown {
  return pairSources.flatMap((source) => {
    const ratios = paired[source];
    return ratios === undefined ? [] : [[source, ...countsRow(fromReport(ratios, ratioScale))]];
  });
}

/**
 * The index of the first bucket, and the comma-separated counts from this bucket to the last one. A count of 0 is
 * written as an empty text.
 */
function countsRow({ counts, first, last }: LatencyCounts): readonly [number, string] {
  if (last < first) return [0, ''];
  return [first, Array.from(counts.subarray(first, last + 1), (count) => (count === 0 ? '' : String(count))).join(',')];
}

/** @returns undefined for text that is not in this format */
export function unpackLedger(text: string): KeptLedger | undefined {
  try {
    const parsed: unknown = JSON.parse(
      gunzipSync(Buffer.from(text, 'base64'), { maxOutputLength: unpackedLimitBytes }).toString('utf8'),
    );
    const [known, from, boots] = listOf(parsed);
    if (known !== version) return undefined;
    const entries = listOf(boots).map((entry): [string, Boot] => {
      const [key, row] = listOf(entry);
      return [textIn(key), bootIn(listOf(row))];
    });
    return { from: wholeIn(from), ledger: Object.fromEntries(entries) };
  } catch {
    return undefined;
  }
}

function bootIn([pod, revision, heard, blocks]: readonly unknown[]): Boot {
  const ranges = listOf(heard).map((range) => {
    const [from, to] = listOf(range);
    return [wholeIn(from), wholeIn(to)] as const;
  });
  const counts = listOf(blocks).map((block): [number, BlockCount] => {
    const [index, seq, traffic] = listOf(block);
    return [
      wholeIn(index),
      { index: wholeIn(index), seq: wholeIn(seq), traffic: listOf(traffic).map((row) => trafficIn(listOf(row))) },
    ];
  });
  return { pod: textIn(pod), revision: textIn(revision), heard: ranges, blocks: Object.fromEntries(counts) };
}

function trafficIn([
  tier,
  sizeClass,
  ok,
  errors,
  compared,
  disagreed,
  first,
  counts,
  paired,
]: readonly unknown[]): BlockTraffic {
  if (!isRecord(errors)) throw new TypeError('errors is not an object');
  return {
    tier: textIn(tier),
    sizeClass: wholeIn(sizeClass),
    latency: { ...scale, counts: countsIn(wholeIn(first), textIn(counts)) },
    ok: wholeIn(ok),
    errors: Object.fromEntries(Object.entries(errors).map(([kind, count]) => [kind, wholeIn(count)])),
    ...(compared === null ? {} : { compared: wholeIn(compared) }),
    ...(disagreed === null ? {} : { disagreed: wholeIn(disagreed) }),
    ...(paired === undefined ? {} : { paired: pairedIn(listOf(paired)) }),
  };
}

function pairedIn(rows: readonly unknown[]): PairedRatios {
  const entries = rows.map((row) => {
    const [source, first, counts] = listOf(row);
    const known = pairSources.find((each) => each === source);
    if (known === undefined) throw new TypeError('not a source of pairs');
    return [
      known,
      { base: ratioBuckets.base, growth: ratioBuckets.growth, counts: countsIn(wholeIn(first), textIn(counts)) },
    ] as const;
  });
  return Object.fromEntries(entries);
}

function countsIn(first: number, text: string): Record<string, number> {
  if (text === '') return {};
  return Object.fromEntries(
    text.split(',').flatMap((count, i) => (count === '' ? [] : [[String(first + i), wholeIn(Number(count))]])),
  );
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError('not a list');
  return value;
}

function textIn(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('not a text');
  return value;
}

function wholeIn(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new TypeError('not a count');
  return value;
}
