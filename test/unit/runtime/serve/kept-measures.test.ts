/** Measurements of the warm-up that are kept beside the prepared model, and read again by a later start. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCost } from '../../../../runtime/engine/run-cost.ts';
import { runMemory } from '../../../../runtime/engine/run-memory.ts';
import { KeptMeasures, measuresKey, type Measured } from '../../../../runtime/serve/kept-measures.ts';
import type { ModelMeasures } from '../../../../runtime/serve/measure-model.ts';
import { keepingLogger } from '../../../support/artifact.ts';

const session: Measured['session'] = {
  executionProviders: [{ name: 'cpu' }],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  enableCpuMemArena: true,
  enableMemPattern: false,
  logSeverityLevel: 4,
  extra: {},
};
const usual: Measured = {
  model: 'sha256:1',
  session,
  threads: { workers: 2, threadsPerWorker: 1, spin: 'Off' },
  memory: { limitBytes: 2 ** 29, keeps: true, thresholdBytes: 2 ** 22 },
  inputs: { fill: 8, maxFill: 256, maxRows: 32, independent: true },
};
const cpu = 'model name\t: A CPU\nflags\t: avx2';
const key = measuresKey(usual, cpu);
const growth = { power: 1.5, rows: 16, elements: 8, bytes: 2 ** 24 };
const measures: ModelMeasures = {
  memory: runMemory(
    [
      { elements: 8, oneBytes: 1000, rowBytes: 900 },
      { elements: 16, oneBytes: 3000, rowBytes: 2500 },
    ],
    growth,
  ),
  cost: runCost([
    { elements: 8, rows: 1, ms: 2 },
    { elements: 8, rows: 2, ms: 3 },
  ]),
  complete: true,
};

describe('kept measurements', () => {
  let folder = '';
  let logger = keepingLogger();
  const kept = (at: string | undefined = folder): KeptMeasures => new KeptMeasures(at, logger);
  const said = (): string[] => logger.lines.map(({ level, message }) => `${level}: ${message}`);
  const again = 'warn: kept measurements cannot be read, measuring again';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'measures-'));
    logger = keepingLogger();
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('predict the same memory and time after they are read again', async () => {
    await kept().keep(key, measures);
    const read = await kept().read(key);
    for (const [rows, elements] of [
      [1, 8],
      [5, 12],
      [64, 100],
    ] as const) {
      assert.equal(read?.memory.bytesOf(rows, elements), measures.memory.bytesOf(rows, elements));
      assert.equal(read.cost.msOf(rows, elements), measures.cost.msOf(rows, elements));
    }
    assert.deepEqual(await readdir(folder), ['measures.json']);
    assert.deepEqual(said(), []);
  });

  it('are absent without a word when nothing was kept', async () => {
    assert.equal(await kept().read(key), undefined);
    await kept(undefined).keep(key, measures);
    assert.equal(await new KeptMeasures(undefined, logger).read(key), undefined);
    assert.deepEqual(said(), []);
  });

  for (const { name, text, problem } of [
    { name: 'is cut off', text: '{"key":{', problem: /JSON/ },
    { name: 'is a list', text: '[]', problem: /object/ },
    { name: 'has no points', text: JSON.stringify({ key, memory: { points: [] }, cost: [] }), problem: /memory/ },
    {
      name: 'has a time of 0',
      problem: /ms/,
      text: JSON.stringify({
        key,
        memory: { points: [{ elements: 1, oneBytes: 1, rowBytes: 1 }] },
        cost: [{ elements: 1, rows: 1, ms: 0 }],
      }),
    },
    { name: 'is very large', text: ' '.repeat(256 * 1024 + 1), problem: /262145 bytes; the limit is 262144/ },
  ])
    // prettier-ignore
    it(`are not used, and the log says so, when the file ${name}`, async () => {
      await writeFile(join(folder, 'measures.json'), text);
      assert.equal(await kept().read(key), undefined);
      assert.deepEqual(said(), [again]);
      assert.match(String(logger.lines[0]?.fields['problem']), problem);
      // The next measurement replaces the file.
      await kept().keep(key, measures);
      assert.ok((await kept().read(key)) !== undefined);
    });

  for (const { part, other, text = cpu } of [
    { part: 'model', other: { model: 'sha256:2' } },
    { part: 'cpu', other: {}, text: 'model name\t: Another CPU\nflags\t: avx2' },
    { part: 'session', other: { session: { ...session, enableCpuMemArena: false } } },
    { part: 'threads', other: { threads: { ...usual.threads, workers: 1 } } },
    { part: 'memory', other: { memory: { limitBytes: undefined, keeps: true, thresholdBytes: 2 ** 25 } } },
    { part: 'inputs', other: { inputs: { ...usual.inputs, maxRows: 8 } } },
  ])
    it(`of another ${part} are not used, and the log names it`, async () => {
      await kept().keep(key, measures);
      assert.equal(await kept().read(measuresKey({ ...usual, ...other }, text)), undefined);
      assert.deepEqual(said(), ['info: kept measurements do not apply, measuring again']);
      assert.deepEqual(logger.lines[0]?.fields['differing'], [part]);
    });

  it('are not kept when a busy machine ended the measuring early', async () => {
    await kept().keep(key, { ...measures, complete: false });
    assert.deepEqual(await readdir(folder), []);
  });

  it('that cannot be written are a warning', async () => {
    const missing = kept(join(folder, 'evicted'));
    await missing.keep(key, measures);
    assert.deepEqual(said(), ['warn: measurements could not be kept: the next start measures again']);
  });
});
