/**
 * Large JSON is parsed on a separate thread. The results are the same as on the main thread, and the codec survives a
 * crash of the thread.
 */
import assert from 'node:assert/strict';
import { AppError } from '../../../../../api/errors.ts';
import { silentLogger } from '../../../../../lib/log.ts';
import { makeTensor } from '../../../../../runtime/engine/tensor.ts';
import { defaultDecodeLimits } from '../../../../../runtime/protocol/oip/decode.ts';
import { ThreadedCodec, type CodecDeps } from '../../../../../runtime/protocol/oip/codec.ts';

const given = (more: Partial<CodecDeps> = {}) =>
  new ThreadedCodec({
    limits: defaultDecodeLimits,
    nice: 0,
    memoryBytes: 128 * 2 ** 20,
    jsonLimitBytes: 32 * 2 ** 20,
    logger: silentLogger,
    ...more,
  });
const bodyOf = (value: unknown): Uint8Array<ArrayBuffer> =>
  new Uint8Array(new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value)));
const request = (count: number, last: unknown = 7) =>
  bodyOf({
    id: 'big',
    inputs: [{ name: 'x', shape: [count], datatype: 'FP32', data: [...Array<number>(count - 1).fill(1.5), last] }],
  });
const codeOf = (error: unknown): string => (error instanceof AppError ? error.code : String(error));

describe('ThreadedCodec', function () {
  const codec = given();
  after(() => codec.close());

  it('decodes large requests like small ones', async () => {
    for (const count of [4, 50_000]) {
      const body = request(count);
      const decoded = await codec.decode(body, body.length);
      assert.deepEqual(
        [decoded.id, decoded.inputs['x']?.data.length, decoded.inputs['x']?.data.at(-1)],
        ['big', count, 7],
      );
    }
  });

  it('refuses large requests with the same message as small ones', async () => {
    for (const count of [4, 50_000]) {
      const body = request(count, 'x');
      await assert.rejects(
        async () => codec.decode(body, body.length),
        (error: unknown) =>
          codeOf(error) === 'REQUEST_INVALID' && new RegExp(`element ${count - 1} is "x"`).test(String(error)),
      );
    }
  });

  it('encodes large outputs without transferring a buffer that other outputs share', async () => {
    const shared = new Float32Array(40_000).fill(0.5);
    const tensor = makeTensor('float32', [20_000], shared.subarray(0, 20_000));
    const { chunks, bytes, jsonBytes } = await codec.encode({
      model: 'm',
      version: '1',
      outputs: [{ name: 'y', tensor, binary: false }],
    });
    const text = Buffer.concat(chunks.map((chunk) => Buffer.from(chunk as Uint8Array))).toString();
    assert.deepEqual(
      [bytes, jsonBytes, (JSON.parse(text) as { outputs: { data: number[] }[] }).outputs[0]?.data.length],
      [text.length, undefined, 20_000],
    );
    assert.equal(shared[39_999], 0.5);
  });

  it('refuses numbers without a JSON form, on its thread too', async () => {
    const tensor = makeTensor('float32', [20_000], new Float32Array(20_000).fill(NaN));
    await assert.rejects(
      async () => codec.encode({ model: 'm', version: '1', outputs: [{ name: 'y', tensor, binary: false }] }),
      (error: unknown) => codeOf(error) === 'REQUEST_INVALID',
    );
  });

  it('returns each of many results to its own caller', async () => {
    const counts = [30_000, 20_000, 40_000, 25_000];
    const decoded = await Promise.all(
      counts.map(async (count) => {
        const body = request(count);
        return codec.decode(body, body.length);
      }),
    );
    assert.deepEqual(
      decoded.map(({ inputs }) => inputs['x']?.data.length),
      counts,
    );
  });

  it('refuses JSON over its limit and says that binary data may be larger', async () => {
    const small = given({ jsonLimitBytes: 1000 });
    await assert.rejects(async () => small.decode(request(400), 2000), /REQUEST_TOO_LARGE|binary data may be larger/);
    await small.close();
  });

  it('survives JSON that exhausts its heap', async () => {
    const tight = given({ heapBytes: 0 });
    const hog = bodyOf(`{"inputs":[${'{},'.repeat(800_000)}{}]}`);
    await assert.rejects(
      async () => tight.decode(hog, hog.length),
      (error: unknown) => codeOf(error) === 'REQUEST_TOO_LARGE',
    );
    const body = request(30_000);
    assert.equal((await tight.decode(body, body.length)).inputs['x']?.data.length, 30_000);
    await tight.close();
  });

  it('refuses requests after it was closed', async () => {
    const closed = given();
    await closed.close();
    const body = request(50_000);
    await assert.rejects(
      async () => closed.decode(body, body.length),
      (error: unknown) => codeOf(error) === 'DRAINING',
    );
  });
});
