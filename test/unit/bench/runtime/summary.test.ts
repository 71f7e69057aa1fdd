/** From measured cells to rows and tables. */
import assert from 'node:assert/strict';
import type { LoadReport } from '../../../../bench/runtime/load/job.ts';
import { loadTable, rateOf } from '../../../../bench/runtime/loads.ts';
import { growthOf } from '../../../../bench/runtime/memory.ts';
import {
  capacitiesOf,
  figuresOf,
  rawFigures,
  summaryOf,
  type Cell,
  type Figures,
} from '../../../../bench/runtime/summary.ts';
import { closedTable, comparisonTable, openTable } from '../../../../bench/runtime/table.ts';

const report: LoadReport = {
  elapsedMs: 2000,
  inTime: 100,
  latenciesMs: Float64Array.from({ length: 100 }, (_, index) => index + 1),
  others: {},
  retryAfterSeconds: [],
  unansweredMs: [],
  sentLateMs: 0,
  healthMs: [],
  serverCpuSeconds: 4,
  clientCpuSeconds: 1,
};
const figures = (perSecond: number, cpuPerThousand = 1): Figures => ({
  perSecond,
  cpuPerThousand,
  clientCpuPerThousand: 0.1,
  p50: 1,
  p95: 2,
  p99: 3,
  failedShare: 0,
});
const cell = (server: string, round: number, of: Figures, load: Cell['load'] = 'c8'): Cell => ({
  case: 'mlp-small',
  load,
  server,
  round,
  figures: of,
});

describe('figures of a report', () => {
  it('are rates, CPU per 1,000 answers, and percentiles', () => {
    const { perSecond, cpuPerThousand, clientCpuPerThousand, p50, p95, p99 } = figuresOf(report);
    assert.deepEqual([perSecond, cpuPerThousand, clientCpuPerThousand, p50, p95, p99], [50, 40, 10, 50, 95, 99]);
  });

  it('count a request without an answer as one that took the whole time', () => {
    const { p99, failedShare } = figuresOf({ ...report, unansweredMs: [5000, 5000, 5000] });
    assert.deepEqual([p99, failedShare], [5000, 3 / 103]);
  });

  it('of an open loop: good answers, kept deadlines, refusals and health', () => {
    const { open } = figuresOf(
      { ...report, others: { 429: 20, 503: 5, 504: 10 }, retryAfterSeconds: [1, 2, 4], healthMs: [1, 2, 9] },
      { perSecond: 80, deadlineMs: 50 },
    );
    assert.deepEqual(open, {
      offeredPerSecond: 80,
      goodPerSecond: 25,
      keptShare: 50 / 110,
      refusedShare: 25 / 135,
      retryAfterSeconds: 2,
      healthP99: 9,
      sentLateMs: 0,
    });
  });

  it('of the raw loop count rows, not runs', () => {
    const raw = rawFigures({
      rows: 640,
      elapsedMs: 2000,
      latenciesMs: Float64Array.of(1, 2, 3),
      cpuSeconds: 4,
      values: new Float32Array(),
    });
    assert.deepEqual([raw.perSecond, raw.cpuPerThousand, raw.p50], [320, 6.25, 2]);
  });
});

describe('summaryOf', () => {
  const cells = [
    cell('raw', 1, figures(100, 1)),
    cell('ours', 1, figures(90, 2)),
    cell('fastapi', 1, figures(45, 4)),
    cell('ours', 2, figures(80, 8)),
    cell('ours', 3, figures(10, 2)),
  ];

  it('takes the median of the rounds, each figure by itself, and ratios of medians', () => {
    const ours = summaryOf(cells).find(({ server }) => server === 'ours');
    assert.equal(ours?.rounds, 3);
    assert.deepEqual([ours.figures.perSecond, ours.figures.cpuPerThousand], [80, 2]);
    assert.deepEqual([ours.rateToRaw, ours.engineShare], [0.8, 0.5]);
    assert.deepEqual([ours.rateToFastapi, ours.cpuToFastapi], [80 / 45, 2]);
  });

  it('has no ratio where the other server was not measured', () => {
    const [row] = summaryOf([cell('ours', 1, figures(1))]);
    assert.ok(row !== undefined && Number.isNaN(row.rateToRaw) && Number.isNaN(row.rateToFastapi));
  });

  it('the tables leave out what does not exist', () => {
    const table = closedTable(summaryOf([cell('ours', 1, figures(1234.5))]));
    assert.equal(
      table.split('\n')[2],
      '| mlp-small | c8 | ours | 1235 |  |  | 1.00 |  | 1.00 | 2.00 | 3.00 | 0.100 | 0 |',
    );
    assert.equal(openTable(summaryOf(cells)), '');
  });
});

describe('comparisonTable', () => {
  it('has a line for each case and load, with rate and CPU ratios, and leaves out what was not measured', () => {
    const cells = [
      cell('raw', 1, figures(100, 1)),
      cell('ours', 1, figures(50, 2)),
      cell('litserve', 1, figures(20, 8)),
      cell('raw', 1, figures(10, 1), 'c1'),
      cell('ours', 1, figures(5, 1), 'c1'),
    ];
    assert.deepEqual(comparisonTable(summaryOf(cells)).trim().split('\n'), [
      '| case | load | ours ÷ raw | ours ÷ litserve |',
      '|---|---|---|---|',
      '| mlp-small | c8 | 0.500 (0.500) | 2.50 (4.00) |',
      '| mlp-small | c1 | 0.500 (1.00) |  |',
    ]);
  });
});

describe('rates of open loops', () => {
  const capacities = capacitiesOf([
    cell('ours', 1, figures(100), 'c8'),
    cell('ours', 1, figures(200), 'c64'),
    cell('fastapi', 1, figures(50)),
    cell('bentoml', 1, figures(30)),
  ]);

  // prettier-ignore
  const cases: readonly { readonly name: string; readonly load: 'o50' | 'o150' | 'shared80'; readonly server: string;
    readonly rate: number | undefined }[] = [
    { name: 'half of the best closed loop', load: 'o50', server: 'ours', rate: 100 },
    { name: 'more than a server can do', load: 'o150', server: 'fastapi', rate: 75 },
    { name: 'a shared rate follows the slower one', load: 'shared80', server: 'ours', rate: 40 },
    { name: 'a shared rate is the same for the slower one', load: 'shared80', server: 'fastapi', rate: 40 },
    { name: 'too slow for the shared rate', load: 'shared80', server: 'bentoml', rate: undefined },
    { name: 'a server without answers is left out', load: 'o50', server: 'litserve', rate: undefined },
  ];
  for (const { name, load, server, rate } of cases)
    it(name, () => {
      const plan = loadTable[load];
      assert.equal(plan.kind === 'open' ? rateOf(plan, server, capacities) : undefined, rate);
    });
});

describe('growthOf', () => {
  const point = (requests: number, anonymousMiB: number): Parameters<typeof growthOf>[0][number] => ({
    requests,
    anonymousMiB,
    residentMiB: 0,
  });

  it('leaves out the first tenth of the requests, in which a server warms up', () =>
    assert.equal(growthOf([point(0, 50), point(100, 90), point(500, 95), point(1000, 92)]), 2));
});
