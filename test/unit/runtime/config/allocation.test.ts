/** Which setting of the sessions' memory is chosen from measured numbers, and which settings are measured. */
import assert from 'node:assert/strict';
import {
  allocationsToMeasure,
  chooseAllocation,
  faultsAreCheap,
  hasRaisedThresholds,
  type Allocation,
  type MeasuredAllocation,
} from '../../../../runtime/config/allocation.ts';

const mib = 2 ** 20;
const off: Allocation = { arena: false, thresholdBytes: 4 * mib };
const off32 = { ...off, thresholdBytes: 32 * mib };
const off128 = { ...off, thresholdBytes: 128 * mib };
const on: Allocation = { arena: true, thresholdBytes: 4 * mib };

/** A setting that was measured at two sizes; the smaller size takes a quarter of the CPU time. */
function measured(setting: Allocation, cpuMs: number, peak: number, more: Partial<MeasuredAllocation> = {}) {
  const faults = Math.round(cpuMs * 100);
  return {
    ...setting,
    runs: [
      { fill: 256, cpuMs: cpuMs / 4, faults },
      { fill: 512, cpuMs, faults },
    ],
    loadedBytes: 60 * mib,
    peakBytes: peak * mib,
    ...more,
  };
}

type Row = {
  readonly name: string;
  readonly measured: readonly MeasuredAllocation[];
  readonly why?: string;
  readonly limit?: number;
  readonly workers?: number;
  readonly want: Allocation;
  readonly says: RegExp;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'the usual setting when nothing was measured', measured: [], why: 'the sizes of the inputs are fixed',
    want: off, says: /^arena off with malloc thresholds of 4Mi: the sizes of the inputs are fixed$/ },
  { name: 'the usual setting when it alone was measured', measured: [measured(off, 40, 100)], want: off,
    says: /^arena off with malloc thresholds of 4Mi: 40 ms of CPU time and 4000 page faults in a run of size 512/ },
  { name: 'the arena when it is cheaper', measured: [measured(off, 380, 110), measured(on, 150, 170)], want: on,
    says: /^arena on: 150 ms .* peak memory 170Mi; arena off with malloc thresholds of 4Mi: 380 ms .* memory 110Mi$/ },
  { name: 'the usual setting when another gains less than noise',
    measured: [measured(off, 100, 110), measured(on, 96, 100)], want: off, says: /^arena off/ },
  { name: 'the setting with less memory among equals',
    measured: [measured(off, 380, 110), measured(on, 152, 170), measured(off32, 150, 220)], want: on,
    says: /^arena on/ },
  { name: 'the setting with less CPU time when the difference is more than noise',
    measured: [measured(off, 380, 110), measured(on, 200, 170), measured(off32, 150, 220)], want: off32,
    says: /^arena off with malloc thresholds of 32Mi: 150 ms/ },
  { name: 'the arena under a limit that is large enough', limit: 1024,
    measured: [measured(off, 380, 110), measured(on, 150, 170, { beyondBytes: 170 * mib })], want: on,
    says: /^arena on/ },
  { name: 'the usual setting under a limit that is too low for the arena, with the limit that is sufficient',
    measured: [measured(off, 380, 110), measured(on, 150, 170, { beyondBytes: 170 * mib })], limit: 512, want: off,
    says: /; with arena on it would take 150 ms, but with 2 workers it needs spec.memory.limit of at least 736Mi$/ },
  { name: 'the arena under the same limit with one worker', limit: 512, workers: 1,
    measured: [measured(off, 380, 110), measured(on, 150, 170, { beyondBytes: 170 * mib })], want: on,
    says: /^arena on/ },
  { name: 'not the arena when twice the size would need too much', limit: 1024,
    measured: [measured(off, 380, 110), measured(on, 150, 170, { beyondBytes: 600 * mib })], want: off,
    says: /^arena off .* at least 3Gi$/ },
  { name: 'assumes twice the memory for larger inputs when they were not measured', limit: 1024,
    measured: [measured(off, 380, 110), measured(on, 150, 170)], want: off, says: /^arena off .* at least 1.3Gi$/ },
  { name: 'the best of what fits, with the limit for what is better', limit: 820,
    measured: [measured(off, 380, 110), measured(on, 250, 120), measured(off128, 150, 400)], want: on,
    says: /^arena on: 250 ms .*; with arena off with malloc thresholds of 128Mi it would take 150 ms, but/ },
  { name: 'among the measured ones when not all were measured', why: 'measuring took too long',
    measured: [measured(off, 380, 110), measured(on, 150, 170)], want: on, says: /; measuring took too long$/ },
  { name: 'the usual setting when the model ran no input', measured: [measured(off, 1, 60, { runs: [] })], want: off,
    says: /not measured/ },
];

describe('chooseAllocation', () => {
  for (const { name, measured: ones, why, limit, workers = 2, want, says } of rows)
    it(`chooses ${name}`, () => {
      const choice = chooseAllocation(
        off,
        { measured: ones, ...(why === undefined ? {} : { why }) },
        { workers, limitBytes: limit === undefined ? undefined : limit * mib },
      );
      assert.deepEqual({ arena: choice.arena, thresholdBytes: choice.thresholdBytes }, want, choice.because);
      assert.match(choice.because, says);
      assert.equal(choice.measured, ones);
    });
});

describe('allocationsToMeasure', () => {
  // prettier-ignore
  const modes = [
    { name: 'the arena and thresholds for inputs of varying sizes', mode: 'Auto', varies: true,
      want: [off, on, off32, off128] },
    { name: 'only the arena for inputs of fixed sizes', mode: 'Auto', varies: false, want: [on] },
    { name: 'only the arena when the spec says On', mode: 'On', varies: true, want: [on] },
    { name: 'only thresholds when the spec says Off', mode: 'Off', varies: true, want: [off, off32, off128] },
  ] as const;
  for (const { name, mode, varies, want } of modes)
    it(`is ${name}`, () => assert.deepEqual(allocationsToMeasure(mode, varies), want));
});

describe('faultsAreCheap', () => {
  // prettier-ignore
  const costs = [
    { name: 'true without page faults', runs: [{ fill: 8, cpuMs: 1, faults: 0 }], want: true },
    { name: 'true for a few page faults in a long run', runs: [{ fill: 8, cpuMs: 100, faults: 500 }], want: true },
    { name: 'false for many page faults', runs: [{ fill: 8, cpuMs: 100, faults: 10_000 }], want: false },
    { name: 'false when only the largest size has many',
      runs: [{ fill: 8, cpuMs: 10, faults: 0 }, { fill: 16, cpuMs: 100, faults: 10_000 }], want: false },
  ];
  for (const { name, runs, want } of costs) it(`is ${name}`, () => assert.equal(faultsAreCheap({ runs }), want));
});

describe('hasRaisedThresholds', () => {
  it('is true above 4 MiB', () => assert.equal(hasRaisedThresholds(off32), true));
  it('is false at 4 MiB and for a file without a choice', () =>
    assert.deepEqual([off, undefined].map(hasRaisedThresholds), [false, false]));
});
