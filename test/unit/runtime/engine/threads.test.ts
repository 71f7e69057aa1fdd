/** The numbers of workers and threads, and whether threads spin, by the machine and the spec. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  fittingWorkers,
  planThreads,
  usableCores,
  type Machine,
  type Threads,
} from '../../../../runtime/engine/threads.ts';

type Row = {
  readonly name: string;
  readonly machine: Machine;
  readonly ask?: Partial<Parameters<typeof planThreads>[0]>;
  readonly want: Threads;
};

// prettier-ignore
const rows: readonly Row[] = [
  { name: 'one worker per CPU, for throughput', machine: { cpus: 4 },
    want: { workers: 4, threadsPerWorker: 1, spin: 'Off' } },
  { name: 'one worker with all CPUs, for latency', machine: { cpus: 4 },
    ask: { profile: 'Latency' }, want: { workers: 1, threadsPerWorker: 4, spin: 'Brief' } },
  { name: 'no spinning under a quota', machine: { cpus: 8, quota: 4 },
    ask: { profile: 'Latency' }, want: { workers: 1, threadsPerWorker: 4, spin: 'Off' } },
  { name: 'a quota rounded down', machine: { cpus: 8, quota: 2.9 },
    want: { workers: 2, threadsPerWorker: 1, spin: 'Off' } },
  { name: 'one worker for a tenth of a CPU', machine: { cpus: 8, quota: 0.1 },
    want: { workers: 1, threadsPerWorker: 1, spin: 'Off' } },
  { name: 'at most as many CPUs as there are', machine: { cpus: 2, quota: 16 },
    want: { workers: 2, threadsPerWorker: 1, spin: 'Off' } },
  { name: 'threads from the requested workers', machine: { cpus: 8 },
    ask: { workers: 2 }, want: { workers: 2, threadsPerWorker: 4, spin: 'Brief' } },
  { name: 'workers from the requested threads', machine: { cpus: 8 },
    ask: { threadsPerWorker: 2 }, want: { workers: 4, threadsPerWorker: 2, spin: 'Brief' } },
  { name: 'both as requested; more threads than CPUs, and so no spinning', machine: { cpus: 2 },
    ask: { workers: 3, threadsPerWorker: 2 }, want: { workers: 3, threadsPerWorker: 2, spin: 'Off' } },
  { name: 'threads from further CPUs where there are very many', machine: { cpus: 64 },
    want: { workers: 16, threadsPerWorker: 4, spin: 'Brief' } },
];

describe('planThreads', () => {
  for (const { name, machine, ask = {}, want } of rows)
    it(`gives ${name}`, () => assert.deepEqual(planThreads({ profile: 'Throughput', ...ask }, machine), want));

  it('stays within the CPUs on any machine, unless the spec sets the numbers', () => {
    const machine = fc.record({
      cpus: fc.integer({ min: 1, max: 256 }),
      quota: fc.double({ min: 0.01, max: 300, noNaN: true }),
    });
    fc.assert(
      fc.property(machine, fc.constantFrom('Throughput' as const, 'Latency' as const), (given, profile) => {
        const { workers, threadsPerWorker } = planThreads({ profile }, given);
        assert.ok(workers >= 1 && threadsPerWorker >= 1 && workers * threadsPerWorker <= usableCores(given));
      }),
    );
  });
});

describe('fittingWorkers', () => {
  const mib = 2 ** 20;
  const rows: readonly [string, number | undefined, number, number][] = [
    ['any number without a limit', undefined, 500 * mib, 16],
    ['any number without a measurement', 100 * mib, 0, 16],
    ['what fits beside the process itself', 1000 * mib, 150 * mib, 5],
    ['one, even where none fits', 200 * mib, 500 * mib, 1],
  ];
  for (const [name, limit, worker, want] of rows)
    it(`is ${name}`, () => assert.equal(fittingWorkers(limit, worker), want));
});
