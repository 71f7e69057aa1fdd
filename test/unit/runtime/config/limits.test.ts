/** How the memory of a pod is divided, and which memory limits are sufficient. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { loadBytesOf, loadFits, servingFits, shareMemory, sufficientLimit } from '../../../../runtime/config/limits.ts';

const mib = 2 ** 20;
const amount = (mostMib: number) => fc.integer({ min: 1, max: mostMib }).map((count) => count * mib);

describe('shareMemory', () => {
  it('never gives more than the model leaves free', () => {
    fc.assert(
      fc.property(amount(65_536), amount(65_536), (limit, held) => {
        const { runBytes, parseBytes, bodiesBytes } = shareMemory(limit, held);
        assert.ok([runBytes, parseBytes, bodiesBytes].every((bytes) => bytes >= 0));
        assert.ok(runBytes + parseBytes + bodiesBytes === 0 || held + runBytes + parseBytes + bodiesBytes < limit);
      }),
    );
  });

  it('gives half to runs, a quarter to bodies, and a quarter to JSON and waiting inputs', () => {
    assert.deepEqual(shareMemory(1000 * mib, 122 * mib), {
      runBytes: 400 * mib,
      parseBytes: 150 * mib,
      waitingBytes: 50 * mib,
      bodiesBytes: 200 * mib,
    });
  });
});

describe('a memory limit', () => {
  it('is sufficient to load and serve the model when sufficientLimit returns it', () => {
    fc.assert(
      fc.property(amount(4096), amount(4096), amount(4096), (held, estimate, weights) => {
        const load = loadBytesOf(estimate);
        const told = sufficientLimit(held, load, weights);
        assert.ok(loadFits(told, held, load));
        assert.ok(servingFits(told, held + load));
      }),
    );
  });

  const rows: readonly { readonly name: string; readonly limit: number; readonly loads: boolean }[] = [
    // A process without a session takes 65 MiB, and one with a session 162 MiB. Loading the model was measured to need
    // 246 to 256 MiB.
    { name: 'refuses a model whose loading would be killed', limit: 250, loads: false },
    { name: 'accepts a model that fits', limit: 275, loads: true },
  ];
  for (const { name, limit, loads } of rows)
    it(name, () => assert.equal(loadFits(limit * mib, 65 * mib, loadBytesOf(162 * mib)), loads));

  it('refuses a warmed model that leaves no memory for requests', () => {
    assert.deepEqual(
      [256, 320].map((limit) => servingFits(limit * mib, 240 * mib)),
      [false, true],
    );
  });
});
