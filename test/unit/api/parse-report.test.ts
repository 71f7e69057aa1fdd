/** What a report may look like and still be one. */
import assert from 'node:assert/strict';
import { parseReport } from '../../../api/parse-report.ts';
import { fullReport } from '../../support/reports.ts';

type Row = { readonly name: string; readonly change: Readonly<Record<string, unknown>>; readonly want: RegExp | 'report' };

const rows: readonly Row[] = [
  { name: 'takes a report with every field', change: {}, want: 'report' },
  { name: 'lets unknown fields be', change: { golden: { n: 3 }, model: { ...fullReport.model, family: 'bert' } }, want: 'report' },
  { name: 'does without the optional fields', change: { model: undefined, providers: undefined, memory: undefined, traffic: undefined, node: undefined }, want: 'report' },
  { name: 'takes a limit of null for no limit', change: { memory: { ...fullReport.memory, limitBytes: null } }, want: 'report' },
  { name: 'refuses another schema by its number', change: { schema: 2 }, want: /schema 2/ },
  { name: 'refuses a report without bootId', change: { bootId: undefined }, want: /^bootId is not a string/ },
  { name: 'refuses a negative count', change: { seq: -1 }, want: /^seq is not a number/ },
  { name: 'refuses a word where a boolean belongs', change: { ready: 'yes' }, want: /^ready is not true or false/ },
  { name: 'names the path of what is wrong deep inside', change: { providers: { requested: ['CPU'], actual: [{ provider: 'Abacus', nodes: 1, time: 1 }] } }, want: /^providers\.actual\[0\]\.provider is not one of CPU/ },
  { name: 'refuses a bucket that is not a number', change: { traffic: [{ ...fullReport.traffic?.[0], latency: { base: 1e-4, growth: 1.02, counts: { 7: 'many' } } }] }, want: /^traffic\[0\]\.latency\.counts\.7 / },
  { name: 'refuses an endless list', change: { node: { cores: 2, cpuFeatures: Array.from({ length: 2000 }, () => 'avx2') } }, want: /2000 items/ },
  { name: 'refuses an unknown precision', change: { model: { digest: 'sha256:0', precision: 'INT3' } }, want: /^model\.precision/ },
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
