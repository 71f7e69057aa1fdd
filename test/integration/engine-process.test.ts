/**
 * Real engine processes that crash, are stuck, are told to end, or lose their server. A request that is lost has a
 * clear error, other requests go on, and no process stays behind.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../api/errors.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import type { EngineBatch, EngineResult } from '../../runtime/engine/port.ts';
import { ProcessEngine, type ProcessEngineDeps } from '../../runtime/engine/process/process-engine.ts';
import { sessionOptions } from '../../runtime/engine/session-options.ts';
import { makeTensor, type NamedTensors, type TensorType } from '../../runtime/engine/tensor.ts';
import type { Model } from '../../runtime/onnx/build.ts';
import { eventually } from '../support/eventually.ts';
import { HandClock } from '../support/hand-clock.ts';
import { givenConfig } from '../support/model-server.ts';
import { accumulator, heavy, identity, image, loop, writeModel } from '../support/onnx-models.ts';

const forEver = 2n ** 63n - 1n;
const withCode = (code: string) => (error: unknown) => error instanceof AppError && error.code === code;
const x = (...values: number[]): NamedTensors[string] =>
  makeTensor('float32', [1, values.length], Float32Array.from(values));
/** A run of the model loop(). */
const trips = (n: bigint, signal?: AbortSignal): EngineBatch => ({
  parts: [{ n: makeTensor('int64', [], BigInt64Array.of(n)), x: x(1, 1, 1, 1) }],
  outputs: ['y'],
  ...(signal === undefined ? {} : { signal }),
});
const kindsOf = ({ parts }: EngineResult): readonly string[] => parts.map(({ kind }) => kind);

/** A process that has ended, or whose end only its parent has not noticed. */
function isGone(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

describe('engine processes', () => {
  let folder = '';
  const engines: ProcessEngine[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'engine-process-'));
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) {
      // A run without an end would keep close() waiting.
      for (const { pid } of engine.status.processes) if (pid !== undefined) process.kill(pid, 'SIGKILL');
      await engine.close();
    }
  });
  after(() => rm(folder, { recursive: true, force: true }));

  let models = 0;
  const start = async (model: Model, own: Partial<ProcessEngineDeps> = {}): Promise<ProcessEngine> => {
    const threads = { workers: 1, threadsPerWorker: 1, spin: 'Off' } as const;
    const signature = { inputs: [], outputs: [] };
    const engine = await ProcessEngine.start({
      model: 'm',
      processes: 1,
      runsPerProcess: 1,
      task: {
        graphPath: await writeModel(folder, model, `${(models += 1)}.onnx`),
        options: sessionOptions({ ...givenConfig(), threads, signature, optimized: false }),
        nice: 1,
      },
      clock: systemClock,
      logger: silentLogger,
      ...own,
    });
    engines.push(engine);
    return engine;
  };
  const pidOf = (engine: ProcessEngine, index = 0): number => engine.status.processes[index]?.pid ?? 0;
  /** Waits until a run is in progress inside ONNX Runtime: its process uses the CPU. */
  const running = (pid: number): Promise<unknown> => {
    const ticks = (): number => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[13]);
    const before = ticks();
    return eventually('the run uses the CPU', () => ticks() > before + 5);
  };

  it('refuse a model that ONNX Runtime cannot load', async () => {
    const broken: Model = { opset: 17, graph: { ...identity().graph, nodes: [] } };
    await assert.rejects(start(broken), withCode('ENGINE_LOAD_FAILED'));
  });

  it('lose only the requests of a process that is killed, and replace it', async () => {
    const engine = await start(loop(), { processes: 2 });
    const lost = engine.run(trips(forEver));
    const victim = engine.status.processes.findIndex((_, index) => engine.sequences.isFree(index) === false);
    const other = engine.run(trips(1000n));
    process.kill(pidOf(engine, victim), 'SIGKILL');
    await assert.rejects(lost, withCode('ENGINE_LOST'));
    assert.deepEqual(kindsOf(await other), ['Done']);
    assert.equal(engine.status.lost, 1);
    await eventually('the process is replaced', () => engine.workers.ready === 2);
    assert.deepEqual(kindsOf(await engine.run(trips(1n))), ['Done']);
  });

  it('end a run whose caller has left, and keep the process', async () => {
    const engine = await start(loop(), { runsPerProcess: 2 });
    const pid = pidOf(engine);
    const left = new AbortController();
    const endless = engine.run(trips(forEver, left.signal));
    assert.deepEqual(kindsOf(await engine.run(trips(5n))), ['Done']);
    left.abort(new Error('the client has left'));
    await assert.rejects(endless, new Error('the client has left'));
    const already = engine.run(trips(forEver, AbortSignal.abort(new Error('too late'))));
    await assert.rejects(already, new Error('too late'));
    assert.deepEqual([pidOf(engine), engine.freeSlots, engine.status.cancelled], [pid, 2, 2]);
  });

  it('end a run over its limit, and keep the process', async () => {
    const clock = new HandClock();
    const engine = await start(loop(), { clock, runLimitMs: () => 30_000 });
    const pid = pidOf(engine);
    const stuck = engine.run(trips(forEver));
    await running(pid);
    await clock.advance(30_000);
    await assert.rejects(stuck, withCode('RUN_STUCK'));
    assert.deepEqual(kindsOf(await engine.run(trips(1n))), ['Done']);
    assert.deepEqual([pidOf(engine), engine.status.killed], [pid, 0]);
  });

  it('are killed when a run over its limit does not end', async () => {
    const clock = new HandClock();
    const program = new URL('../support/deaf-engine-process.ts', import.meta.url);
    const engine = await start(loop(), { clock, program, runLimitMs: () => 30_000, runsPerProcess: 2 });
    const stuck = engine.run(trips(forEver));
    await running(pidOf(engine));
    await clock.advance(20_000);
    const beside = engine.run(trips(forEver));
    await clock.advance(10_000);
    await clock.advance(5000);
    await assert.rejects(stuck, withCode('RUN_STUCK'));
    await assert.rejects(beside, withCode('ENGINE_LOST'));
    assert.deepEqual([engine.status.killed, engine.status.lost], [1, 1]);
    await clock.advance(10_000);
    await eventually('the process is replaced', () => engine.workers.ready === 2);
  });

  it('are not started for ever when they always end', async () => {
    const clock = new HandClock();
    const errors: AppError[] = [];
    const program = new URL('../support/mortal-engine-process.ts', import.meta.url);
    const engine = await start(accumulator(), { clock, program, onGaveUp: (error) => errors.push(error) });
    const empty = makeTensor('float32', [1, 0], new Float32Array());
    for (let round = 0; round < 10; round += 1) {
      await eventually('a process is ready', async () => {
        await clock.advance(10_000);
        return engine.freeSlots === 1;
      });
      const lost = engine.run({ parts: [{ x: x(-1), past: empty }], outputs: ['sum'] });
      await assert.rejects(lost, withCode('ENGINE_LOST'));
    }
    assert.deepEqual(
      errors.map(({ code, message }) => [code, message]),
      [
        [
          'ENGINE_GAVE_UP',
          'the engine process of m ended 10 times in a row without an answered request, last with ' +
            'SIGKILL: it is not started again. Restart the pod, or roll back the revision',
        ],
      ],
    );
    await clock.advance(60_000);
    assert.deepEqual([engine.workers.ready, engine.status.gaveUp, engine.freeSlots], [0, true, 0]);
  });

  it('finish their requests before SIGTERM ends them, and are replaced', async () => {
    const engine = await start(loop());
    const pid = pidOf(engine);
    const busy = engine.run(trips(300_000n));
    await running(pid);
    process.kill(pid, 'SIGTERM');
    assert.deepEqual(kindsOf(await busy), ['Done']);
    await eventually('another process is ready', () => engine.workers.ready === 1 && pidOf(engine) !== pid);
    assert.deepEqual([engine.status.lost, engine.status.processes[0]?.failures], [0, 0]);
  });

  it('leave SIGINT to the server', async () => {
    const engine = await start(loop());
    const pid = pidOf(engine);
    process.kill(pid, 'SIGINT');
    assert.deepEqual(kindsOf(await engine.run(trips(1n))), ['Done']);
    assert.equal(pidOf(engine), pid);
  });

  it('do not stay behind when a server closes while they load', async () => {
    const before = new Set(childrenOf(process.pid));
    const starting = start(heavy(256));
    const child = await eventually('the process starts', () => childrenOf(process.pid).find((pid) => !before.has(pid)));
    process.kill(child, 'SIGKILL');
    await assert.rejects(starting, withCode('ENGINE_LOAD_FAILED'));
    await eventually('the process is gone', () => isGone(child));
  });

  for (const { name, signal, code } of [
    { name: 'exits in the middle of a run', signal: 'SIGUSR2', code: 0 },
    { name: 'is killed in the middle of a run', signal: 'SIGKILL', code: null },
  ] as const)
    it(`do not stay behind when their server ${name}`, async () => {
      const path = await writeModel(folder, loop(), 'endless.onnx');
      const program = join(import.meta.dirname, '../support/programs/engine-owner.ts');
      const owner = spawn(process.execPath, [program, path], { stdio: ['ignore', 'pipe', 'inherit'] });
      const [line] = (await once(owner.stdout, 'data')) as [Buffer];
      const pid = Number(line.toString());
      assert.ok(!isGone(pid));
      await running(pid);
      owner.kill(signal);
      const [ended] = (await once(owner, 'exit')) as [number | null];
      assert.equal(ended, code);
      await eventually('the engine process is gone', () => isGone(pid));
    });

  it('carry tensors of many megabytes, and free their memory after the request', async () => {
    const engine = await start(image());
    const side = 3000;
    const data = new Float32Array(side * side).fill(-2);
    data[5] = 1;
    const { parts } = await engine.run({
      parts: [{ x: makeTensor('float32', [1, side, side], data) }],
      outputs: ['y'],
    });
    assert.deepEqual(parts, [{ kind: 'Done', outputs: { y: makeTensor('float32', [1], Float32Array.of(-1)) } }]);
    const descriptors = `/proc/${pidOf(engine)}/fd`;
    const lanes = readdirSync(descriptors)
      .map((name) => join(descriptors, name))
      .filter((path) => readlinkSync(path).includes('onnx-lane'));
    assert.deepEqual(
      lanes.map((path) => statSync(path).size),
      [16 * 2 ** 20],
    );
  });

  it('carry every element type and texts', async () => {
    const values: Readonly<Partial<Record<TensorType, NamedTensors[string]['data']>>> = {
      string: ['a', '', 'ü'],
      int64: BigInt64Array.of(1n, -2n, 2n ** 60n),
      bool: Uint8Array.of(1, 0, 1),
      float16: Uint16Array.of(15360, 0, 49152),
      float64: Float64Array.of(1.5, -2, 3),
      uint8: Uint8Array.of(1, 2, 255),
    };
    for (const [type, data] of Object.entries(values) as [TensorType, NamedTensors[string]['data']][]) {
      const engine = await start(identity(type, ['n']));
      const given = makeTensor(type, [3], data);
      const { parts } = await engine.run({ parts: [{ x: given }, { x: given }], outputs: ['y'] });
      assert.deepEqual(
        parts.map(
          (part) => part.kind === 'Done' && { ...part.outputs['y'], data: [...(part.outputs['y']?.data ?? [])] },
        ),
        [0, 1].map(() => ({ ...given, data: [...data] })),
      );
    }
  });

  it('refuse a tensor whose buffer was transferred, and stay free', async () => {
    const engine = await start(identity());
    const gone = x(1, 2, 3, 4);
    structuredClone(gone, { transfer: [(gone.data as Float32Array<ArrayBuffer>).buffer] });
    await assert.rejects(
      engine.run({ parts: [{ x: gone }], outputs: ['y'] }),
      /has 0 elements; its shape \[1,4\] needs 4/,
    );
    assert.equal(engine.freeSlots, 1);
  });

  it('trim the memory of the only process, and replace one of several, when they are recycled', async () => {
    const only = await start(identity());
    const pid = pidOf(only);
    only.recycle();
    assert.deepEqual(kindsOf(await only.run({ parts: [{ x: x(1, 2, 3, 4) }], outputs: ['y'] })), ['Done']);
    assert.equal(pidOf(only), pid);
    const several = await start(identity(), { processes: 2 });
    const pids = [pidOf(several, 0), pidOf(several, 1)];
    several.recycle();
    await eventually('one process is replaced', () => {
      const now = [pidOf(several, 0), pidOf(several, 1)];
      return several.workers.ready === 2 && now[0] !== pids[0] && now[1] === pids[1];
    });
    assert.equal(several.status.lost, 0);
  });
});

function childrenOf(pid: number): readonly number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
