/**
 * The contract of caches of keys and values, for engine processes. Every answer is compared with attention that is
 * computed here over the whole history of its row, so a key in a wrong place or in a wrong slot is seen.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../../api/errors.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { cacheBytes, type KeyValueCache, type CacheShape } from '../../../runtime/engine/caches.ts';
import { ProcessEngine } from '../../../runtime/engine/process/process-engine.ts';
import { sessionOptions } from '../../../runtime/engine/session-options.ts';
import { makeTensor, type NamedTensors } from '../../../runtime/engine/tensor.ts';
import { eventually } from '../../support/eventually.ts';
import { givenConfig } from '../../support/model-server.ts';
import { cachedAttention, noise, writeModel } from '../../support/onnx-models.ts';

const heads = 2;
const size = 8;
const maxContext = 16;
const tensorOf = (kind: 'key' | 'value'): CacheShape['tensors'][number] => ({
  input: `past_${kind}`,
  output: `present_${kind}`,
  type: 'float32',
  heads: 1,
  headSize: size,
});
const shape: CacheShape = { slots: 4, maxContext, tensors: [tensorOf('key'), tensorOf('value')] };
const limitBytes = 3 * cacheBytes(shape);

/** The query, key and value of one position. */
type Token = { readonly query: Float32Array; readonly key: Float32Array; readonly value: Float32Array };

/** The same token for the same number, and different tokens for different numbers. */
function token(number: number): Token {
  const all = noise((number + 1) * 4 * size, 1).subarray(number * 4 * size);
  return { query: all.subarray(0, 2 * size), key: all.subarray(2 * size, 3 * size), value: all.subarray(3 * size) };
}

/** Attention of the last of these tokens over all of them. */
function attention(history: readonly Token[]): readonly number[] {
  const { query } = history.at(-1) as Token;
  return Array.from({ length: heads }, (_, head) => {
    const own = query.subarray(head * size, (head + 1) * size);
    const weights = history.map(({ key }) => {
      const product = own.reduce((sum, q, at) => sum + q * (key[at] as number), 0);
      return Math.exp(product / Math.sqrt(size));
    });
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return Array.from({ length: size }, (__, at) =>
      history.reduce((sum, { value }, index) => sum + ((weights[index] as number) / total) * (value[at] as number), 0),
    );
  }).flat();
}

function inputsOf(rows: readonly (readonly Token[])[], lengths: readonly number[]): NamedTensors {
  const count = rows[0]?.length ?? 0;
  const stacked = (part: keyof Token, width: number): NamedTensors[string] =>
    makeTensor(
      'float32',
      [rows.length, count, width],
      Float32Array.from(rows.flatMap((tokens) => tokens.flatMap((one) => [...one[part]]))),
    );
  return {
    query: stacked('query', heads * size),
    key: stacked('key', size),
    value: stacked('value', size),
    seqlens_k: makeTensor(
      'int32',
      [rows.length],
      Int32Array.from(lengths, (length) => length - 1),
    ),
    total_sequence_length: makeTensor('int32', [], Int32Array.of(Math.max(...lengths))),
  };
}

const withCode = (code: string) => (error: unknown) => error instanceof AppError && error.code === code;

describe('Caches: engine processes', () => {
  let folder: string;
  let engine: ProcessEngine;
  const opened: KeyValueCache[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'caches-'));
    const threads = { workers: 1, threadsPerWorker: 2, spin: 'Off' } as const;
    const signature = { inputs: [], outputs: [] };
    engine = await ProcessEngine.start({
      model: 'm',
      processes: 1,
      runsPerProcess: 2,
      task: {
        graphPath: await writeModel(folder, cachedAttention(heads, size)),
        options: sessionOptions({ ...givenConfig(), threads, signature, optimized: false }),
        nice: 0,
      },
      clock: systemClock,
      logger: silentLogger,
      stateBytes: limitBytes,
    });
  });
  afterEach(() => {
    for (const cache of opened.splice(0)) cache.close();
    assert.equal(engine.caches.bytes, 0);
  });
  after(async () => {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  });
  const open = async (own: Partial<CacheShape> = {}): Promise<KeyValueCache> => {
    const cache = await engine.caches.open({ ...shape, ...own });
    opened.push(cache);
    return cache;
  };
  /** Runs the last `count` tokens of each history in neighbouring slots, and checks the answers. */
  const run = async (
    cache: KeyValueCache,
    from: number,
    histories: readonly (readonly Token[])[],
    count = 1,
  ): Promise<void> => {
    const lengths = histories.map((history) => history.length);
    const inputs = inputsOf(
      histories.map((history) => history.slice(-count)),
      lengths,
    );
    const { outputs } = await cache.run({ from, count: histories.length, inputs, outputs: ['output'] });
    assert.deepEqual(outputs['output']?.dims, [histories.length, count, heads * size]);
    const values = outputs['output'].data as Float32Array;
    for (const [row, history] of histories.entries())
      for (let back = 0; back < count; back += 1) {
        const at = (row * count + count - 1 - back) * heads * size;
        for (const [index, want] of attention(history.slice(0, history.length - back)).entries())
          assert.ok(Math.abs((values[at + index] as number) - want) < 1e-5, `row ${row}, ${back} from the end`);
      }
  };
  const tokens = (from: number, count: number): readonly Token[] =>
    Array.from({ length: count }, (_, index) => token(from + index));

  it('reads and writes each row in its own slot, with rows of different lengths', async () => {
    const cache = await open();
    const histories = [tokens(0, 3), tokens(20, 7), tokens(40, 1)];
    for (const [slot, history] of histories.entries()) await run(cache, slot, [history], history.length);
    for (let step = 0; step < 4; step += 1) {
      for (const [row, history] of histories.entries()) histories[row] = [...history, token(60 + 10 * row + step)];
      await run(cache, 0, histories);
    }
    await run(
      cache,
      1,
      histories.slice(1).map((history, row) => [...history, token(100 + row)]),
    );
  });

  it('takes a prompt in pieces', async () => {
    const cache = await open();
    const prompt = tokens(0, 10);
    await run(cache, 2, [prompt.slice(0, 4)], 4);
    await run(cache, 2, [prompt.slice(0, 8)], 4);
    await run(cache, 2, [prompt], 2);
  });

  it('uses a slot again from its first position on', async () => {
    const cache = await open();
    await run(cache, 0, [tokens(0, 12)], 12);
    await run(cache, 0, [tokens(30, 2)], 2);
    await run(cache, 0, [tokens(30, 3)]);
  });

  it('copies a part of a slot to another place', async () => {
    const cache = await open();
    const [prefix, other] = [tokens(0, 6), tokens(20, 4)];
    await run(cache, 3, [prefix], 6);
    await run(cache, 0, [other], 4);
    await cache.copy({ slot: 3, position: 0 }, { slot: 0, position: 0 }, 6);
    await run(cache, 0, [[...prefix, token(50)]]);
    await cache.copy({ slot: 3, position: 2 }, { slot: 1, position: 0 }, 4);
    await run(cache, 1, [[...prefix.slice(2), token(51)]]);
    await run(cache, 3, [[...prefix, token(52)]]);
  });

  it('keeps two caches apart, and frees the memory of a closed one', async () => {
    const [one, two] = [await open(), await open()];
    await run(one, 0, [tokens(0, 5)], 5);
    await run(two, 0, [tokens(30, 5)], 5);
    await run(one, 0, [tokens(0, 6)]);
    assert.equal(engine.caches.bytes, 2 * cacheBytes(shape));
    await open();
    await assert.rejects(open(), withCode('STATE_FULL'));
    one.close();
    await open();
    await assert.rejects(one.run({ from: 0, count: 1, inputs: {}, outputs: [] }), withCode('SEQUENCE_UNKNOWN'));
  });

  it('counts the bytes of caches and sequences together', async () => {
    const sequence = engine.sequences.open({ maxBytes: limitBytes - cacheBytes(shape) + 1 });
    await assert.rejects(open(), withCode('STATE_FULL'));
    engine.sequences.close(sequence);
    const cache = await open();
    assert.throws(() => engine.sequences.open({ maxBytes: limitBytes - cache.bytes + 1 }), withCode('STATE_FULL'));
  });

  it('refuses lengths beyond the slot, and writes nothing there', async () => {
    const cache = await open();
    await run(cache, 1, [tokens(20, 3)], 3);
    for (const length of [maxContext + 1, 1000, 2 ** 30, -3]) {
      const inputs = inputsOf([tokens(0, 1)], [length]);
      await assert.rejects(cache.run({ from: 0, count: 1, inputs, outputs: ['output'] }), AppError);
    }
    await run(cache, 1, [tokens(20, 4)]);
  });

  it('refuses places outside the cache before anything is written', async () => {
    const cache = await open();
    const inputs = inputsOf([tokens(0, 1)], [1]);
    const outside = [
      cache.run({ from: 3, count: 2, inputs, outputs: ['output'] }),
      cache.run({ from: -1, count: 1, inputs, outputs: ['output'] }),
      cache.run({ from: 0, count: 0, inputs, outputs: ['output'] }),
      cache.copy({ slot: 4, position: 0 }, { slot: 0, position: 0 }, 1),
      cache.copy({ slot: 0, position: 0 }, { slot: 1, position: 12 }, 5),
      cache.copy({ slot: 0, position: 0.5 }, { slot: 1, position: 0 }, 1),
      engine.caches.open({ ...shape, slots: 0 }),
      engine.caches.open({ ...shape, slots: 2.5 }),
    ];
    for (const result of outside) await assert.rejects(result, RangeError);
    await assert.rejects(open({ slots: 400 }), withCode('REQUEST_TOO_LARGE'));
  });

  it('reports an input that the model refuses, and keeps the slots as they were', async () => {
    const cache = await open();
    await run(cache, 0, [tokens(0, 3)], 3);
    const { value: _, ...inputs } = inputsOf([tokens(0, 1)], [4]);
    await assert.rejects(cache.run({ from: 0, count: 1, inputs, outputs: ['output'] }), withCode('REQUEST_INVALID'));
    await run(cache, 0, [tokens(0, 4)]);
  });

  it('frees a cache that is closed during its run when the run ends', async () => {
    const cache = await open();
    const running = run(cache, 0, [tokens(0, 3)], 3);
    cache.close();
    assert.equal(engine.caches.bytes, cacheBytes(shape));
    await running;
    assert.equal(engine.caches.bytes, 0);
  });

  it('leaves the other lane of the process to runs of batches', async () => {
    const cache = await open();
    const inputs = inputsOf([tokens(0, 1)], [1]);
    const empty = makeTensor('float32', [1, 1, 0, size], new Float32Array());
    const running = cache.run({ from: 0, count: 1, inputs, outputs: ['output'] });
    await assert.rejects(cache.run({ from: 1, count: 1, inputs, outputs: ['output'] }), withCode('NOT_READY'));
    const { parts } = await engine.run({
      parts: [{ ...inputsOf([tokens(0, 1)], [1]), past_key: empty, past_value: empty }],
      outputs: ['output'],
    });
    assert.deepEqual(parts[0]?.kind === 'Done' && parts[0].outputs['output'], (await running).outputs['output']);
  });

  it('is lost with its process, and can be opened again in the next one', async () => {
    const cache = await open();
    await run(cache, 0, [tokens(0, 3)], 3);
    process.kill(engine.status.processes[0]?.pid ?? 0, 'SIGKILL');
    await eventually('the process is replaced', () => engine.status.lost === 1 && engine.workers.ready > 0);
    const inputs = inputsOf([tokens(0, 1)], [4]);
    await assert.rejects(cache.run({ from: 0, count: 1, inputs, outputs: ['output'] }), withCode('SEQUENCE_LOST'));
    await run(await open(), 0, [tokens(0, 3)], 3);
  });
});
