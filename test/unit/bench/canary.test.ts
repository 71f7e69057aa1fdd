import assert from 'node:assert/strict';
import type { Cell, JudgeName } from '../../../bench/canary/cell.ts';
import { allCells, runCell } from '../../../bench/canary/cells.ts';
import type { Row } from '../../../bench/canary/rows.ts';
import { isCorrelated } from '../../../bench/canary/scenarios.ts';
import { World } from '../../../bench/canary/world.ts';

const cells = allCells();
const never = new AbortController().signal;

function cellOf(judge: JudgeName, scenario: string, rate: number): { cell: Cell; number: number } {
  const number = cells.findIndex(
    (cell) =>
      cell.judge === judge && cell.scenario.name === scenario && cell.requestsPerMinute === rate && cell.share === 0.5,
  );
  const cell = cells[number];
  assert.ok(cell !== undefined, `no cell ${judge} ${scenario} ${rate}`);
  return { cell, number };
}

async function rowOf(judge: JudgeName, scenario: string, rate: number, runs = 2): Promise<Row> {
  const { cell, number } = cellOf(judge, scenario, rate);
  return runCell(cell, { runs, seed: 1, number }, never);
}

describe('the canary bench', () => {
  it('gives the same row for the same seed', async () => {
    assert.deepEqual(await rowOf('ours', 'slower2', 1000), await rowOf('ours', 'slower2', 1000));
  });

  it('covers every rate with identical revisions, noise and bursts', () => {
    for (const scenario of ['independent', 'noise10', 'noise20', 'bursts'])
      for (const rate of [20, 100, 1000, 10000]) assert.equal(cellOf('ours', scenario, rate).cell.what, 'rollout');
  });

  const found: readonly [scenario: string, rate: number][] = [
    ['slower2', 1000],
    ['slower2-noise10', 1000],
    ['errors5%', 1000],
    ['disagree10%', 1000],
  ];
  for (const [scenario, rate] of found) {
    it(`finds ${scenario} by our judge`, async () => {
      const row = await rowOf('ours', scenario, rate);
      assert.equal(row.detectedRate, 1);
      assert.equal(row.falseRollbackRate, null);
      assert.ok((row.medianRequestsToDetect ?? Infinity) < 10_000);
    });
  }

  it('does not roll back identical revisions by our judge', async () => {
    for (const scenario of ['independent', 'bursts'])
      assert.deepEqual((await rowOf('ours', scenario, 1000)).falseRollbackRate, 0);
  });

  it('shows how a rule on single minutes fails with little traffic', async () => {
    assert.equal((await rowOf('argo-rollouts', 'independent', 20, 10)).falseRollbackRate, 1);
    assert.ok(((await rowOf('flagger', 'independent', 20, 10)).falseRollbackRate ?? 0) > 0);
    assert.equal((await rowOf('kayenta', 'slower2', 1000, 5)).detectedRate, 1);
  });

  it('marks scenarios with correlated noise', () => {
    assert.deepEqual(
      cells
        .filter(
          (cell) =>
            cell.judge === 'ours' &&
            cell.what === 'rollout' &&
            cell.router === 'HTTPRoute' &&
            cell.requestsPerMinute === 20 &&
            !isCorrelated(cell.scenario),
        )
        .map((cell) => cell.scenario.name),
      ['independent', 'heavyTail', 'pareto', 'twoModes', 'wholeMs', 'constant', 'timeouts', 'gaps'],
    );
  });

  it('ends between two runs when it is stopped', async () => {
    const { cell, number } = cellOf('ours', 'independent', 20);
    const row = await runCell(cell, { runs: 5, seed: 1, number }, AbortSignal.abort());
    assert.equal(row.runs, 0);
  });
});

describe('the simulated service', () => {
  it('sends about the asked share of requests to the candidate', () => {
    const { cell } = cellOf('ours', 'independent', 10000);
    const world = new World({ scenario: { ...cell.scenario, pods: 2 }, requestsPerMinute: 10000, sampleRate: 0.05 }, 1);
    let [candidate, stable] = [0, 0];
    for (let i = 0; i < 60; i++) {
      const slice = world.next(0.2);
      candidate += slice.candidate.reduce((sum, pod) => sum + pod.requests, 0);
      stable += slice.stable.reduce((sum, pod) => sum + pod.requests, 0);
    }
    assert.ok(Math.abs(candidate / (candidate + stable) - 0.2) < 0.01);
    assert.ok(Math.abs(candidate + stable - 50_000) < 1000);
  });
});
