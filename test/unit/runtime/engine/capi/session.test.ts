/** The C API of the real ONNX Runtime: each function that is called has an effect that a test sees. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  addressOf,
  checkVersion,
  OrtError,
  OrtLibrary,
  type Address,
} from '../../../../../runtime/engine/capi/library.ts';
import {
  NativeSession,
  openEnvironment,
  RunOptions,
  type OpenOptions,
  type OrtEnvironment,
} from '../../../../../runtime/engine/capi/session.ts';
import type { Model } from '../../../../../runtime/onnx/build.ts';
import { add, identity, image, loop, matmul, slow, writeModel, zipMapOutput } from '../../../../support/onnx-models.ts';

const options: OpenOptions = {
  intraOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  enableCpuMemArena: false,
  enableMemPattern: false,
  extra: {},
};

/** Numbers outside V8's heap, whose address stays the same. */
const floats = (...values: number[]): Float32Array<ArrayBuffer> => {
  const array = new Float32Array(new ArrayBuffer(4 * Math.max(1, values.length)));
  array.set(values);
  return array;
};
const withCode = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof OrtError && error.code === code && message.test(error.message);

describe('ONNX Runtime by its C API', () => {
  let folder: string;
  let environment: OrtEnvironment;
  const sessions: NativeSession[] = [];
  const kept: unknown[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'capi-'));
    environment = openEnvironment();
  });
  after(async () => {
    for (const session of sessions) session.release();
    environment.release();
    await rm(folder, { recursive: true, force: true });
  });
  const open = async (model: Model, own: Partial<OpenOptions> = {}, where = environment): Promise<NativeSession> => {
    const path = await writeModel(folder, model, `${sessions.length}.onnx`);
    const session = await NativeSession.open(where, path, { ...options, ...own });
    sessions.push(session);
    return session;
  };
  const tensor = (dims: readonly number[], data: ArrayBufferView, type: 'float32' | 'int64' = 'float32'): Address => {
    kept.push(data);
    return environment.values.over(addressOf(data), { type, dims });
  };
  /** Runs the session once, and releases everything but the outputs. */
  const run = async (
    session: NativeSession,
    inputs: Readonly<Record<string, Address>>,
    outputs: Readonly<Record<string, Address | null>>,
    where = environment,
  ): Promise<readonly Address[]> => {
    const once = new RunOptions(where.ort, { shrink: false });
    try {
      return await session.run(new Map(Object.entries(inputs)), new Map(Object.entries(outputs)), once);
    } finally {
      once.release();
      for (const value of Object.values(inputs)) environment.values.release(value);
    }
  };

  it('refuses a library that is not ONNX Runtime', async () => {
    const path = join(folder, 'libother.so');
    await writeFile(path, 'not a library');
    assert.throws(() => OrtLibrary.open(path), /libother\.so/);
    assert.throws(() => OrtLibrary.open('libc.so.6'), /OrtGetApiBase/);
  });

  it('refuses every other version of ONNX Runtime by its name', () => {
    assert.throws(() => checkVersion('1.31.0', '/lib/x.so'), /\/lib\/x\.so is ONNX Runtime 1\.31\.0.*1\.30\.0 only/);
    checkVersion('1.30.0', '/lib/x.so');
  });

  it('names the inputs and outputs of a model', async () => {
    const session = await open(add());
    assert.deepEqual([session.inputNames, session.outputNames], [['a', 'b'], ['sum']]);
  });

  it('computes on memory of the caller, and leaves an output to ONNX Runtime', async () => {
    const session = await open(matmul());
    const [y = 0n] = await run(session, { x: tensor([1, 4], floats(1, 2, 3, 4)) }, { y: null });
    const shape = environment.values.shapeOf(y);
    assert.deepEqual(shape, { type: 'float32', dims: [1, 2] });
    const bytes = environment.values.bytesOf(y, shape).slice();
    environment.values.release(y);
    assert.deepEqual([...new Float32Array(bytes.buffer)], [12, 1]);
  });

  it('writes an output into memory of the caller', async () => {
    const session = await open(matmul());
    const into = floats(0, 0);
    const y = tensor([1, 2], into);
    assert.deepEqual(await run(session, { x: tensor([1, 4], floats(1, 2, 3, 4)) }, { y }), [y]);
    assert.deepEqual([...into], [12, 1]);
    environment.values.release(y);
  });

  it('runs one session several times at once', async () => {
    const session = await open(slow(20, 256));
    const once = async (): Promise<number> => {
      const [y = 0n] = await run(session, { x: tensor([1, 256], floats(...Array<number>(256).fill(1))) }, { y: null });
      const bytes = environment.values.bytesOf(y, { type: 'float32', dims: [1, 256] }).slice();
      environment.values.release(y);
      return new Float32Array(bytes.buffer)[0] ?? NaN;
    };
    const [first, ...others] = await Promise.all([once(), once(), once()]);
    assert.ok(Number.isFinite(first) && first !== 0);
    assert.deepEqual(others, [first, first]);
  });

  it('accepts empty tensors and scalars', async () => {
    const empty = await open(identity());
    const [y = 0n] = await run(empty, { x: tensor([0, 4], floats()) }, { y: null });
    const shape = environment.values.shapeOf(y);
    assert.deepEqual(shape, { type: 'float32', dims: [0, 4] });
    assert.equal(environment.values.bytesOf(y, shape).length, 0);
    environment.values.release(y);
    const scalar = await open(identity('int64', []));
    const seven = new BigInt64Array(new ArrayBuffer(8)).fill(7n);
    const [z = 0n] = await run(scalar, { x: tensor([], seven, 'int64') }, { y: null });
    assert.deepEqual(environment.values.shapeOf(z), { type: 'int64', dims: [] });
    environment.values.release(z);
  });

  it('takes and returns texts', async () => {
    const session = await open(identity('string', ['n']));
    const given = ['one', '', 'zwölf 12'];
    const [y = 0n] = await run(session, { x: environment.values.ofStrings([3], given) }, { y: null });
    assert.deepEqual(environment.values.shapeOf(y), { type: 'string', dims: [3] });
    assert.deepEqual(environment.values.stringsOf(y, 3), given);
    environment.values.release(y);
  });

  it('reports errors with the code and the message of ONNX Runtime', async () => {
    const missing = NativeSession.open(environment, join(folder, 'none.onnx'), options);
    await assert.rejects(missing, withCode('NO_SUCHFILE', /none\.onnx/));
    await writeFile(join(folder, 'broken.onnx'), 'x'.repeat(100));
    const broken = NativeSession.open(environment, join(folder, 'broken.onnx'), options);
    await assert.rejects(broken, withCode('FAIL', /ModelProto does not have a graph/));
    const session = await open(matmul());
    const wide = run(session, { x: tensor([1, 5], floats(1, 2, 3, 4, 5)) }, { y: null });
    await assert.rejects(wide, withCode('INVALID_ARGUMENT', /Got invalid dimensions for input/));
  });

  it('refuses names that the model does not have, and missing inputs', async () => {
    const session = await open(matmul());
    await assert.rejects(run(session, {}, { y: null }), /input 'x' is missing/);
    const x = tensor([1, 4], floats(1, 2, 3, 4));
    await assert.rejects(run(session, { x }, { z: null }), /Invalid input or output name: 'z'/);
  });

  it('does not read an output that is not a tensor', async () => {
    const session = await open(zipMapOutput());
    const [scores = 0n] = await run(session, { x: tensor([1, 2], floats(1, 2)) }, { scores: null });
    assert.throws(() => environment.values.shapeOf(scores), /not a tensor/);
    environment.values.release(scores);
  });

  it('ends a run without an end when asked', async () => {
    const session = await open(loop());
    const trips = new BigInt64Array(new ArrayBuffer(8)).fill(2n ** 63n - 1n);
    const [n, x] = [tensor([], trips, 'int64'), tensor([1, 4], floats(1, 1, 1, 1))];
    const once = new RunOptions(environment.ort, { shrink: false });
    const running = session.run(new Map([['n', n] as const, ['x', x] as const]), new Map([['y', null]]), once);
    once.terminate();
    await assert.rejects(running, withCode('FAIL', /terminate flag/));
    once.release();
    for (const value of [n, x]) environment.values.release(value);
  });

  it('keeps the arena under its limit, and runs on after a request over it', async () => {
    const limited = openEnvironment(32 * 2 ** 20);
    const session = await open(image(), {}, limited);
    const area = (side: number): Address => tensor([1, side, side], new Float32Array(new ArrayBuffer(4 * side * side)));
    const large = run(session, { x: area(4096) }, { y: null }, limited);
    await assert.rejects(large, withCode('FAIL', /smaller than requested/));
    const [y = 0n] = await run(session, { x: area(64) }, { y: null }, limited);
    assert.deepEqual(limited.values.shapeOf(y).dims, [1]);
    limited.values.release(y);
    sessions.splice(sessions.indexOf(session), 1);
    session.release();
    limited.release();
  });
});
