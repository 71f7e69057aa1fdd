/** Measuring the time of runs (calls of ONNX Runtime) with growing numbers of rows. */
import assert from 'node:assert/strict';
import { measureCosts, type CostDeps } from '../../../../runtime/engine/measure-costs.ts';
import { makeTensor } from '../../../../runtime/engine/tensor.ts';
import { FakeEngine } from '../../../support/fake-engine.ts';
import { HandClock } from '../../../support/hand-clock.ts';

/**
 * An engine whose runs take `msOf(rows, length)` milliseconds. `delayMs` returns the additional milliseconds of the
 * n-th run, as if other programs used the CPU.
 */
function world(
  msOf: (rows: number, length: number) => number,
  { delayMs = () => 0, ...more }: Partial<CostDeps> & { readonly delayMs?: (run: number) => number } = {},
) {
  const clock = new HandClock();
  const sizes: string[] = [];
  let [cpuMs, runs] = [0, 0];
  const engine = new FakeEngine({
    model: ({ x }) => ({ y: makeTensor('float32', [x?.dims[0] ?? 0, 1], new Float32Array(x?.dims[0] ?? 0)) }),
    gate: async ({ parts }) => {
      const length = parts[0]?.['x']?.dims[1] ?? 0;
      sizes.push(`${parts.length}x${length}`);
      const ms = msOf(parts.length, length);
      cpuMs += ms;
      runs += 1;
      await clock.advance(ms + delayMs(runs));
    },
  });
  const deps: CostDeps = {
    engine,
    inputs: [{ name: 'x', type: 'float32', dims: ['batch', 'n'] }],
    outputs: ['y'],
    fill: 8,
    maxRows: 32,
    fits: () => true,
    budgetMs: 1500,
    patienceMs: 15_000,
    cpuMs: () => cpuMs,
    onCpu: true,
    clock,
    ...more,
  };
  const spent = (): number => cpuMs;
  return { deps, sizes, spent };
}
const rowsAt = (sizes: readonly string[], length: number): number[] => [
  ...new Set(sizes.filter((size) => size.endsWith(`x${length}`)).map((size) => Number.parseInt(size))),
];

describe('measureCosts', () => {
  it('measures up to 32 rows if batching gains, at growing lengths up to the longest', async () => {
    const { deps, sizes } = world((rows, length) => (5 + rows) * (length / 64), { maxFill: 128 });
    const cost = await measureCosts(deps);
    assert.deepEqual(rowsAt(sizes, 8), [1, 2, 4, 8, 16, 32]);
    assert.deepEqual([...new Set(cost.points.map(({ elements }) => elements))], [8, 32, 128]);
    assert.equal(cost.msOf(32, 32), (5 + 32) * 0.5);
  });

  it('stops adding rows after two doublings that gain nothing', async () => {
    const { deps, sizes } = world((rows) => 4 * rows, { maxFill: 8 });
    const cost = await measureCosts(deps);
    assert.deepEqual([rowsAt(sizes, 8), cost.trustedRows(8, 32)], [[1, 2, 4], 4]);
  });

  it('stops adding rows when two rows take far more than twice the time of one', async () => {
    const { deps, sizes } = world((rows) => rows ** 2, { maxFill: 8 });
    const cost = await measureCosts(deps);
    assert.deepEqual([rowsAt(sizes, 8), cost.trustedRows(8, 32)], [[1, 2], 2]);
  });

  it('adds more rows although the first run of each is slow because its memory is new', async () => {
    const seen = new Set<number>();
    const { deps, sizes } = world((rows) => (5 + rows) * (seen.size === seen.add(rows).size ? 1 : 4), { maxFill: 8 });
    await measureCosts(deps);
    assert.deepEqual(rowsAt(sizes, 8), [1, 2, 4, 8, 16, 32]);
  });

  it('also measures the maximum number of rows of the spec', async () => {
    const { deps, sizes } = world((rows) => 5 + rows, { maxFill: 8, maxRows: 12 });
    await measureCosts(deps);
    assert.deepEqual(rowsAt(sizes, 8), [1, 2, 4, 8, 12]);
  });

  const none: readonly { name: string; more: Partial<CostDeps> }[] = [
    { name: 'a model without batching', more: { maxRows: 1 } },
    { name: 'a model that has no memory for two rows', more: { fits: (rows) => rows < 2 } },
    { name: 'a row that takes the whole budget', more: { budgetMs: 5 } },
  ];
  for (const { name, more } of none)
    it(`measures no cost for ${name}`, async () => {
      const { deps } = world((rows) => 5 + rows, more);
      assert.deepEqual((await measureCosts(deps)).points, []);
    });

  it('stays within its budget of CPU time', async () => {
    for (const ms of [1, 20, 200, 700]) {
      const { deps, spent } = world((rows, length) => ms * (1 + rows / 8) * (length / 8));
      await measureCosts(deps);
      assert.ok(spent() <= deps.budgetMs, `${spent()} ms for ${ms}`);
    }
  });

  it('ends after its time limit when runs take hardly any CPU time', async () => {
    const { deps } = world((rows) => 5 + rows, { cpuMs: () => 0, patienceMs: 400, onCpu: false });
    const beganMs = deps.clock.monotonic();
    await measureCosts(deps);
    assert.ok(deps.clock.monotonic() - beganMs <= 400);
  });

  it('measures the same on a machine so busy that each run waits', async () => {
    const { deps } = world((rows) => 5 + rows, { maxFill: 8, delayMs: (run) => (run * 37) % 50 });
    assert.deepEqual(
      (await measureCosts(deps)).points.map(({ rows, ms }) => ms - rows),
      [5, 5, 5, 5, 5, 5],
    );
  });

  it('takes the fastest of several runs', async () => {
    const { deps } = world((rows) => 5 + rows, {
      maxFill: 8,
      onCpu: false,
      delayMs: (run) => (run % 5 === 0 ? 20 : 0),
    });
    assert.equal((await measureCosts(deps)).msOf(8, 8), 13);
  });
});
