/** Which reports are accepted, and the messages about reports that are not. */
import assert from 'node:assert/strict';
import { parseReport } from '../../../api/parse-report.ts';
import { ratioBuckets } from '../../../api/report.ts';
import { fullReport } from '../../support/reports.ts';

const cell = {
  tier: 'default',
  sizeClass: 64,
  latency: { base: 1e-4, growth: 1.02, counts: { 250: 2 } },
  ok: 2,
  errors: {},
  compared: 1,
  disagreed: 0,
};
const block = { index: 11, seq: 4, traffic: [cell] };
const blocks = { since: 10, until: 12, counts: [block] };
const ratios = { base: ratioBuckets.base, growth: ratioBuckets.growth, counts: { 198: 3 } };
const withPaired = (paired: unknown): unknown => ({
  ...blocks,
  counts: [{ ...block, traffic: [{ ...cell, paired }] }],
});
const golden = { id: 'sha256:0', state: 'Done', n: 3, done: 3, passed: 3, score: -0.25, worst: -1 };

type Row = {
  readonly name: string;
  readonly change: Readonly<Record<string, unknown>>;
  readonly want: RegExp | 'report';
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'takes a report with every field', change: {}, want: 'report' },
  { name: 'ignores unknown fields', change: { mood: { n: 3 },
      model: { ...fullReport.model, family: 'bert' } }, want: 'report' },
  { name: 'takes a report without the optional fields',
    change: { model: undefined, providers: undefined, memory: undefined,
      traffic: undefined, node: undefined }, want: 'report' },
  { name: 'takes a limit of null for no limit',
    change: { memory: { ...fullReport.memory, limitBytes: null } }, want: 'report' },
  { name: 'refuses another schema by its number', change: { schema: 2 }, want: /schema 2/ },
  { name: 'refuses a report without bootId', change: { bootId: undefined }, want: /^bootId: is missing/ },
  { name: 'refuses a negative count', change: { seq: -1 }, want: /^seq: -1 is not a number of at least 0/ },
  { name: 'refuses a word where a boolean belongs', change: { ready: 'yes' },
    want: /^ready: "yes" is neither true nor false/ },
  { name: 'names the path of what is wrong deep inside',
    change: { providers: { requested: ['CPU'], actual: [{ provider: 'Abacus', nodes: 1, time: 1 }] } },
    want: /^providers\.actual\[0\]\.provider: "Abacus" is not one of CPU/ },
  { name: 'refuses a bucket that is not a number',
    change: { traffic: [{ ...fullReport.traffic?.[0], latency: { base: 1e-4, growth: 1.02, counts: { 7: 'many' } } }] },
    want: /^traffic\[0\]\.latency\.counts\.7: "many" is not an integer/ },
  { name: 'refuses an endless list', change: {
      node: { cores: 2, cpuFeatures: Array.from({ length: 2000 }, () => 'avx2') } }, want: /2000 entries, 0 to 1024/ },
  { name: 'takes blocks, a golden run and agreement',
    change: { blocks, golden, agreement: { compared: 3, disagreed: 1,
      skipped: { Busy: 2 }, worst: 0.3 } }, want: 'report' },
  { name: 'refuses more blocks than a sidecar keeps',
    change: { blocks: { since: 0, until: 127,
      counts: Array.from({ length: 129 }, (_, index) => ({ ...block, index })) } },
    want: /^blocks\.counts: has 129 entries, 0 to 128 / },
  { name: 'refuses a range of too many blocks', change: { blocks: { since: 0, until: 9e15, counts: [] } },
    want: /^blocks: has blocks 0 to 9000000000000000; 1 to 128 blocks are allowed$/ },
  { name: 'refuses a range that ends before it begins',
    change: { blocks: { since: 12, until: 11, counts: [] } }, want: /^blocks: has blocks 12 to 11; / },
  { name: 'refuses a block outside the range', change: { blocks: { ...blocks, counts: [{ ...block, index: 13 }] } },
    want: /^blocks: has block 13, outside 10 to 12$/ },
  { name: 'refuses a block that is listed twice',
    change: { blocks: { ...blocks, counts: [block, { ...block, seq: 5 }] } }, want: /^blocks: has a block twice/ },
  { name: 'refuses more classes than a block has',
    change: { blocks: { ...blocks, counts: [{ ...block,
      traffic: Array.from({ length: 65 }, () => cell) }] } }, want: /traffic: has 65 entries, 0 to 64 / },
  { name: 'refuses a fraction of a request', change: {
      blocks: { ...blocks, counts: [{ ...block,
      traffic: [{ ...cell, ok: 0.5 }] }] } }, want: /ok: 0\.5 is not an integer of at least 0/ },
  { name: 'refuses a histogram whose buckets have no width',
    change: { traffic: [{ ...fullReport.traffic?.[0],
      latency: { base: 1e-4, growth: 1, counts: {} } }] }, want: /growth: 1 is not a number above 1/ },
  { name: 'refuses a bucket without a number',
    change: { traffic: [{ ...fullReport.traffic?.[0], latency: { base: 1e-4, growth: 1.02, counts: { high: 1 } } }] },
    want: /counts: key "high" is not of the form/ },
  { name: 'refuses a golden run that compared a part of a case',
    change: { golden: { ...golden, compared: 1.5 } }, want: /^golden\.compared: 1\.5 is not an integer/ },
  { name: 'refuses a golden run in an unknown state',
    change: { golden: { ...golden, state: 'Perhaps' } }, want: /^golden\.state: "Perhaps" is not one of Waiting/ },
  { name: 'refuses more kinds of errors than there are',
    change: { traffic: [{ ...fullReport.traffic?.[0],
      errors: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`kind${i}`, 1])) }] },
    want: /^traffic\[0\]\.errors: has 65 entries, at most 64 / },
  { name: 'refuses a kind of error that is not a word',
    change: { blocks: { ...blocks, counts: [{ ...block, traffic: [{ ...cell, errors: { ['x'.repeat(65)]: 1 } }] }] } },
    want: /errors: key "x+…? is not of the form/ },
  { name: 'refuses a reason that is not a word',
    change: { agreement: { compared: 3, disagreed: 1, skipped: { 'a b': 2 },
      worst: 0.3 } }, want: /^agreement\.skipped: key "a b" / },
  { name: 'refuses a tier that is longer than a name',
    change: { traffic: [{ ...fullReport.traffic?.[0], tier: 'x'.repeat(257) }] },
    want: /^traffic\[0\]\.tier: is longer than 256 characters/ },
  { name: 'refuses more providers than there are',
    change: { providers: { requested: Array.from({ length: 17 }, () => 'CPU'),
      actual: [] } }, want: /^providers\.requested: has 17 entries, 0 to 16 / },
  { name: 'shows only the beginning of a schema of a megabyte', change: { schema: 'x'.repeat(1_000_000) },
    want: /^the report has schema "x{37,38}…; only schema 1 is supported$/ },
  { name: 'takes pairs of every source', change: {
      blocks: withPaired({ Replay: ratios, Probe: ratios, Shadow: ratios }),
      pairs: { paired: { Probe: 3 }, skipped: { Busy: 1 }, probeLoad: 0.04 } }, want: 'report' },
  { name: 'refuses ratios with another scale, because they could not be added',
    change: { blocks: withPaired({ Probe: { ...ratios, base: 1e-4 } }) },
    want: /paired\.Probe: must have base 0\.02\d+ and growth 1\.02$/ },
  { name: 'refuses more buckets than a ratio has',
    change: { blocks: withPaired({ Replay: { ...ratios,
      counts: Object.fromEntries(Array.from({ length: 400 }, (_, i) => [i, 1])) } }) },
    want: /paired\.Replay\.counts: has 400 entries, at most 397 / },
  { name: 'refuses a fraction of a pair', change: { blocks: withPaired({ Shadow: { ...ratios, counts: { 5: 0.5 } } }) },
    want: /paired\.Shadow\.counts\.5: 0\.5 is not an integer/ },
  { name: 'refuses a negative load', change: { pairs: { paired: {}, skipped: {}, probeLoad: -1 } },
    want: /^pairs\.probeLoad: -1 is neither a number of at least 0, nor null/ },
  { name: 'refuses an unknown precision', change: {
      model: { digest: 'sha256:0', precision: 'INT3' } }, want: /^model\.precision/ },
];

describe('parseReport', () => {
  for (const { name, change, want } of rows) {
    it(name, () => {
      const parsed = parseReport(JSON.parse(JSON.stringify({ ...fullReport, ...change })));
      if (want === 'report') assert.equal(parsed.kind, 'report');
      else assert.match(parsed.kind === 'unusable' ? parsed.problem : 'taken', want);
    });
  }

  for (const value of [null, [], 'report', 7]) {
    it(`refuses ${JSON.stringify(value)}`, () => assert.equal(parseReport(value).kind, 'unusable'));
  }
});
