/** The operator keeps only the fields of a report that it needs later, a few kilobytes. */
import assert from 'node:assert/strict';
import type { Report } from '../../../../api/report.ts';
import { memoryPeakStep, withoutCounts } from '../../../../operator/reports/kept-report.ts';
import { fullReport } from '../../../support/reports.ts';

const memory = fullReport.memory!;

describe('memoryPeakStep', () => {
  it('rounds up to a sixteenth of the limit', () => assert.equal(memoryPeakStep(fullReport), (6 * (512 << 20)) / 16));

  it('is unknown without a limit', () =>
    assert.equal(memoryPeakStep({ ...fullReport, memory: { ...memory, limitBytes: null } }), undefined));
});

describe('a kept report', () => {
  it('has all fields except counts and unknown fields', () => {
    const { traffic: _traffic, node: _node, ...kept } = fullReport;
    const blocks = { since: 1, until: 1, counts: [] };
    assert.deepEqual(
      withoutCounts({ ...fullReport, blocks, memory: { ...memory, unknown: 1 }, unknown: 1 } as Report),
      kept,
    );
  });

  it('is small, however large the report was', () => {
    const golden = {
      id: 'sha256:0',
      state: 'Broken',
      n: 0,
      done: 0,
      passed: 0,
      score: null,
      worst: null,
      problem: 'x'.repeat(500_000),
      unknown: 'x'.repeat(100_000),
    } as const;
    const kept = withoutCounts({
      ...fullReport,
      state: 'x'.repeat(100_000),
      golden,
      more: 'x'.repeat(100_000),
    } as Report);
    assert.ok(JSON.stringify(kept).length < 6_000);
  });
});
