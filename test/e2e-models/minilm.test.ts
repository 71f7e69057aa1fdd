/**
 * Runs the models of examples/ and compares their answers with known answers. The models are in the folder in
 * ONNX_E2E_MODELS (filled by `npm run models`), or in .cache/models (filled by `npm run demo`). Skipped without models.
 * Run: mocha --no-config --reporter ./test/support/reporter.cjs 'test/e2e-models/*.test.ts'
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { readGuides } from '../../examples/models/guides.ts';
import { decodeSteps, readAlphabet } from '../../examples/ocr/ctc.ts';
import { lineTensor } from '../../examples/ocr/line-image.ts';
import { rankGuides } from '../../examples/search/rank.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { WorkerPool } from '../../runtime/engine/pool.ts';
import type { SessionOptions } from '../../runtime/engine/session-options.ts';
import type { NamedTensors } from '../../runtime/engine/tensor.ts';
import { TextTokenizer } from '../../runtime/tasks/embedding/tokenizer.ts';

const folder = process.env['ONNX_E2E_MODELS'] ?? fileURLToPath(new URL('../../.cache/models', import.meta.url));
const rule = { maxTokens: 256, onTooLong: 'Truncate' } as const;
const options: SessionOptions = {
  executionProviders: [{ name: 'cpu' }],
  intraOpNumThreads: 2,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  enableCpuMemArena: false,
  enableMemPattern: false,
  logSeverityLevel: 4,
  extra: {},
};

describe("the examples' models", function () {
  this.timeout(120_000);
  const pools: WorkerPool[] = [];
  let tokenizer: TextTokenizer;
  before(async function () {
    if (!existsSync(`${folder}/minilm/model.onnx`)) {
      process.stdout.write(`skipped: ${folder} does not contain models (npm run models -- ${folder})\n`);
      this.skip();
    }
    tokenizer = await TextTokenizer.load(`${folder}/minilm/tokenizer.json`, `${folder}/minilm/tokenizer_config.json`);
  });
  after(async () => {
    for (const pool of pools) await pool.close();
  });

  async function load(path: string): Promise<(inputs: NamedTensors, output: string) => Promise<Float32Array>> {
    const pool = await WorkerPool.start({
      model: path,
      workers: 1,
      clock: systemClock,
      logger: silentLogger,
      task: { graphPath: `${folder}/${path}`, options, nice: 0 },
    });
    pools.push(pool);
    return async (inputs, output) => {
      const {
        parts: [part],
      } = await pool.run({ parts: [inputs], outputs: [output] });
      if (part?.kind !== 'Done') throw new Error(part?.why);
      return part.outputs[output]!.data as Float32Array;
    };
  }

  async function encoder(file: string): Promise<(ids: readonly number[]) => Promise<Float32Array>> {
    const run = await load(`minilm/${file}`);
    return (ids) => {
      const tensor = (values: readonly number[]) =>
        ({ type: 'int64', dims: [1, ids.length], data: BigInt64Array.from(values, BigInt) }) as const;
      return run(
        { input_ids: tensor(ids), attention_mask: tensor(ids.map(() => 1)), token_type_ids: tensor(ids.map(() => 0)) },
        'sentence_embedding',
      );
    };
  }

  it('tokenise as the reference tokenizer does', () => {
    assert.deepEqual(
      tokenizer.encode('Hello world, tokenizing naïve café!', rule, 'input'),
      [101, 7592, 2088, 1010, 19204, 6026, 15743, 7668, 999, 102],
    );
    assert.deepEqual(
      tokenizer.encode('This is an example sentence', rule, 'input'),
      [101, 2023, 2003, 2019, 2742, 6251, 102],
    );
  });

  it('give the vector that TensorFlow.js computes from the same weights', async () => {
    const vector = await (await encoder('model.onnx'))([101, 2023, 2003, 2019, 2742, 6251, 102]);
    assert.deepEqual(
      Array.from(vector.subarray(0, 6), (value) => value.toFixed(5)),
      ['0.05293', '0.05084', '0.04794', '0.05398', '0.00941', '0.00259'],
    );
  });

  for (const file of ['model.onnx', 'model.int8.onnx']) {
    it(`find guides by their descriptions (${file})`, async () => {
      const [encode, set] = [await encoder(file), await readGuides(`${folder}/guides`)];
      const ranks: number[] = [];
      for (const guide of set.guides) {
        const vector = await encode(tokenizer.encode(guide.description, rule, 'input'));
        ranks.push(rankGuides(set, vector, set.guides.length).findIndex((hit) => hit.guide.id === guide.id));
      }
      assert.equal(ranks.length, 146);
      assert.ok(ranks.filter((rank) => rank === 0).length >= 140);
      assert.equal(ranks.filter((rank) => rank < 5).length, 146);
    });
  }

  it('read the picture of a line', async () => {
    const line = lineTensor(await readFile(new URL('../../examples/ocr/line.png', import.meta.url)));
    const run = await load('ocr/model.onnx');
    const data = await run({ x: { type: 'float32', dims: line.shape, data: line.data } }, 'softmax_11.tmp_0');
    const alphabet = readAlphabet(await readFile(`${folder}/ocr/keys.txt`, 'utf8'));
    assert.equal(
      decodeSteps({ shape: [1, data.length / alphabet.length, alphabet.length], data }, alphabet).text,
      'Every change earns its traffic.',
    );
  });
});
