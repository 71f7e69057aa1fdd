/** The predicted memory of a run, from measured runs. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { runMemory, unknownRunMemory, type RunPoint } from '../../../../runtime/engine/run-memory.ts';

const points: readonly RunPoint[] = [
  { elements: 10, oneBytes: 400, rowBytes: 100 },
  { elements: 20, oneBytes: 800, rowBytes: 400 },
];

const rows: readonly {
  readonly name: string;
  readonly rows: number;
  readonly elements: number;
  readonly want: number;
}[] = [
  { name: 'is the measured value plus a quarter', rows: 1, elements: 10, want: 500 },
  { name: 'grows with rows', rows: 8, elements: 10, want: 1000 },
  { name: 'is linear between two sizes', rows: 8, elements: 15, want: 2500 },
  { name: 'is at least that of the smallest size', rows: 1, elements: 1, want: 500 },
  { name: 'grows with the square beyond the largest size', rows: 1, elements: 200, want: 100_000 },
  { name: 'is slightly more than the largest size just beyond it', rows: 1, elements: 21, want: 1103 },
];

describe('runMemory', () => {
  for (const { name, want, ...size } of rows)
    it(name, () => assert.equal(runMemory(points).bytesOf(size.rows, size.elements), want));

  it('does not decrease for a larger run', () => {
    const anyPoint = fc.record({
      elements: fc.integer({ min: 1, max: 1000 }),
      oneBytes: fc.integer({ min: 0, max: 1e6 }),
      rowBytes: fc.integer({ min: 0, max: 1e6 }),
    });
    fc.assert(
      fc.property(
        fc.array(anyPoint, { minLength: 1, maxLength: 6 }),
        fc.tuple(fc.nat(64), fc.nat(3000)),
        fc.tuple(fc.nat(8), fc.nat(500)),
        (measured, [size, elements], [more, longer]) => {
          const { bytesOf } = runMemory(measured);
          assert.ok(bytesOf(size + more, elements + longer) >= bytesOf(size, elements));
        },
      ),
    );
  });

  it('beyond the measured sizes is at least the sum of a constant, a linear and a square part', () => {
    const part = fc.integer({ min: 0, max: 1e8 });
    fc.assert(
      fc.property(
        fc.tuple(part, part, part),
        fc.integer({ min: 2, max: 500 }),
        fc.integer({ min: 1, max: 5000 }),
        ([fixed, linear, square], largest, further) => {
          const bytes = (elements: number): number => fixed + linear * elements + square * elements ** 2;
          const seen = [largest / 2, largest].map((elements) => ({ elements, oneBytes: bytes(elements), rowBytes: 0 }));
          assert.ok(runMemory(seen).bytesOf(1, largest + further) >= bytes(largest + further));
        },
      ),
    );
  });

  it('does not treat memory that each run unpacks as growing with the text', () => {
    const mib = 2 ** 20;
    const seen = [
      { elements: 12, oneBytes: 45 * mib, rowBytes: 45 * mib },
      { elements: 24, oneBytes: 46 * mib, rowBytes: 46 * mib },
    ];
    assert.ok(runMemory(seen).bytesOf(1, 66) < 160 * mib);
  });

  it('follows the measured power for dependent rows', () => {
    const { bytesOf } = runMemory([{ elements: 10, oneBytes: 0, rowBytes: 0 }], {
      power: 2,
      rows: 100,
      elements: 10,
      bytes: 8000,
    });
    assert.equal(bytesOf(1000, 10), 1_000_000);
  });

  it('is 0 without a measurement', () => assert.equal(unknownRunMemory.bytesOf(1000, 1000), 0));
});
