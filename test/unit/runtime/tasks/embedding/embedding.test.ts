/**
 * The task Embedding with a fake model: requests become rows of token ids (one row for each text), and rows of similar
 * length run together.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EmbeddingConfig, RuntimeConfig } from '../../../../../api/runtime-config.ts';
import { AppError } from '../../../../../api/errors.ts';
import { systemClock } from '../../../../../lib/clock.ts';
import { silentLogger } from '../../../../../lib/log.ts';
import type { InferenceRequest, InferenceResult } from '../../../../../runtime/batching/port.ts';
import type { Signature, TensorSpec } from '../../../../../runtime/engine/signature.ts';
import { createEmbedding } from '../../../../../runtime/tasks/embedding/embedding.ts';
import type { TaskReply } from '../../../../../runtime/call/call.ts';
import type { Task } from '../../../../../runtime/tasks/task.ts';
import { writeTinyEncoder } from '../../../../support/tiny-encoder.ts';

const tokens: TensorSpec['dims'] = ['batch', 'sequence'];
const signature: Signature = {
  inputs: ['input_ids', 'attention_mask', 'token_type_ids'].map((name) => ({ name, type: 'int64', dims: tokens })),
  outputs: [
    { name: 'last_hidden_state', type: 'float32', dims: ['batch', 'sequence', 2] },
    { name: 'sentence_embedding', type: 'float32', dims: ['batch', 2] },
    { name: 'labels', type: 'int64', dims: ['batch', 2] },
  ],
};
const embedding: EmbeddingConfig = {
  tokenizer: 'tokenizer.json',
  pooling: 'None',
  normalize: false,
  maxTokens: 16,
  onTooLong: 'Truncate',
};

/**
 * A model whose output has two numbers for each row: the id of the row's first word, and the row's number of tokens.
 */
function answerOf({ inputs }: InferenceRequest): InferenceResult {
  const { dims, data } = inputs['input_ids']! as { dims: readonly number[]; data: BigInt64Array };
  const mask = inputs['attention_mask']!.data as BigInt64Array;
  const [rows = 0, length = 0] = dims;
  const values = Float32Array.from({ length: rows * 2 }, (_, at) => {
    const row = Math.floor(at / 2);
    return at % 2 === 0
      ? Number(data[row * length + 1])
      : mask.subarray(row * length, (row + 1) * length).reduce((sum, value) => sum + Number(value), 0);
  });
  return {
    outputs: { sentence_embedding: { type: 'float32', dims: [rows, 2], data: values } },
    queueMs: 1,
    inferMs: 2,
    batchRows: rows,
  };
}

type Submit = (request: InferenceRequest) => Promise<InferenceResult>;
const answering: Submit = (request) => Promise.resolve(answerOf(request));

describe('createEmbedding', () => {
  let folder = '';
  const tasks: Task[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'embedding-'));
    await writeTinyEncoder(folder);
  });
  after(async () => {
    for (const task of tasks) await task.close?.();
    await rm(folder, { recursive: true, force: true });
  });

  async function given(
    options: {
      submit?: Submit;
      maxRows?: number;
      embedding?: Partial<EmbeddingConfig>;
      spec?: EmbeddingConfig;
      signature?: Signature;
      folder?: string;
    } = {},
  ): Promise<Task> {
    const config = {
      name: 'tiny',
      embedding: options.spec ?? { ...embedding, ...options.embedding },
      execution: { providers: [{ name: 'CPU', options: {} }] },
    } as unknown as RuntimeConfig;
    const task = await createEmbedding({
      config,
      signature: options.signature ?? signature,
      inference: { submit: options.submit ?? answering, maxRows: options.maxRows ?? 4 },
      sourceFile: (path) => join(options.folder ?? folder, path),
      parseBytes: () => 256 * 2 ** 20,
      clock: systemClock,
      logger: silentLogger,
    });
    tasks.push(task);
    return task;
  }

  type Seen = { decoded: number[]; inferred: { queueMs: number; inferMs: number }[] };
  async function ask(task: Task, request: unknown, signal = new AbortController().signal): Promise<TaskReply & Seen> {
    const seen: Seen = { decoded: [], inferred: [] };
    const trace = {
      decoded: (elements: number) => void seen.decoded.push(elements),
      inferred: (result: { queueMs: number; inferMs: number }) => void seen.inferred.push(result),
      produced: () => {},
    };
    const reply = await task.routes[0]!.handle({
      headers: {},
      body: Uint8Array.from(Buffer.from(JSON.stringify(request))),
      signal,
      tier: 'bulk',
      trace,
    });
    return { ...reply, ...seen };
  }
  const vectorsOf = (reply: TaskReply) =>
    (JSON.parse(reply.body as string) as { data: { index: number; embedding: number[] }[] }).data.map(
      ({ embedding: vector }) => vector,
    );

  it('has one route', async () => {
    assert.deepEqual(
      (await given()).routes.map(({ method, path }) => `${method} ${path}`),
      ['POST /v1/embeddings'],
    );
  });

  it('answers in the order of the inputs, for any lengths', async () => {
    const reply = await ask(await given(), {
      model: 'tiny',
      input: ['dog', 'the quick brown fox jumps over the lazy dog', 'fox', 'hello world'],
    });
    assert.deepEqual(vectorsOf(reply), [
      [21, 3],
      [13, 12],
      [16, 3],
      [4, 4],
    ]);
    assert.deepEqual(JSON.parse(reply.body as string).usage, { prompt_tokens: 22, total_tokens: 22 });
  });

  it('reports its request to the trace once', async () => {
    const { decoded, inferred } = await ask(await given(), { model: 'tiny', input: ['dog', 'the lazy dog'] });
    assert.deepEqual(decoded, [8]);
    assert.equal(inferred.length, 1);
  });

  it('fetches only the required output', async () => {
    const asked: (readonly string[])[] = [];
    await ask(await given({ submit: (request) => (asked.push(request.outputs), answering(request)) }), {
      model: 'tiny',
      input: 'dog',
    });
    assert.deepEqual(asked, [['sentence_embedding']]);
  });

  it('runs rows one by one if they depend on each other', async () => {
    const rows: number[] = [];
    const submit: Submit = (request) => (rows.push(request.inputs['input_ids']!.dims[0]!), answering(request));
    const input = ['dog', 'fox', 'dog'];
    await ask(await given({ submit }), { model: 'tiny', input });
    await ask(await given({ submit, maxRows: 1 }), { model: 'tiny', input });
    assert.deepEqual(rows, [3, 1, 1, 1]);
  });

  it('keeps at most four pieces of a request in the batcher', async () => {
    let running = 0;
    let most = 0;
    const submit: Submit = async (request) => {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      return answerOf(request);
    };
    const reply = await ask(await given({ submit }), { model: 'tiny', input: Array.from({ length: 40 }, () => 'dog') });
    assert.equal(vectorsOf(reply).length, 40);
    assert.equal(most, 4);
  });

  it('ends with the first piece that fails, and cancels the others', async () => {
    const signals: AbortSignal[] = [];
    const submit: Submit = (request) => {
      signals.push(request.signal);
      if (signals.length === 2) return Promise.reject(new AppError('QUEUE_FULL', { what: 'requests', limit: 1 }));
      return new Promise((_, reject) =>
        request.signal.addEventListener('abort', () => reject(request.signal.reason as Error)),
      );
    };
    await assert.rejects(
      ask(await given({ submit }), { model: 'tiny', input: Array.from({ length: 40 }, () => 'dog') }),
      { code: 'QUEUE_FULL' },
    );
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true, true, true, true],
    );
  });

  it("passes the client's abort to the batcher", async () => {
    const client = new AbortController();
    const submit: Submit = (request) =>
      new Promise((_, reject) => {
        request.signal.addEventListener('abort', () => reject(request.signal.reason as Error));
        client.abort(new Error('gone'));
      });
    await assert.rejects(ask(await given({ submit }), { model: 'tiny', input: 'dog' }, client.signal), {
      message: 'gone',
    });
  });

  it('accepts the dimensions of the model', async () => {
    assert.deepEqual(vectorsOf(await ask(await given(), { model: 'tiny', input: 'dog', dimensions: 2 })), [[21, 3]]);
  });

  it('refuses other dimensions before a run', async () => {
    const task = await given({ submit: () => Promise.reject(new Error('must not run')) });
    await assert.rejects(ask(task, { model: 'tiny', input: 'dog', dimensions: 1 }), {
      code: 'FIELD_INVALID',
      message: 'dimensions: this model returns 2 dimensions and cannot return 1',
    });
  });

  it('refuses a text over the limit if the spec says so', async () => {
    const task = await given({ embedding: { onTooLong: 'Refuse', maxTokens: 4 } });
    await assert.rejects(ask(task, { model: 'tiny', input: 'the lazy dog' }), { code: 'INPUT_TOO_LONG' });
  });

  const { pooling: _, maxTokens: __, ...unsaid } = embedding;
  it('does not pool an output that is already pooled, if the spec does not set pooling', async () => {
    assert.deepEqual(vectorsOf(await ask(await given({ spec: unsaid }), { model: 'tiny', input: 'dog' })), [[21, 3]]);
  });

  it('averages tokens if neither the spec nor the files set pooling', async () => {
    const submit: Submit = () =>
      Promise.resolve({
        outputs: { last_hidden_state: { type: 'float32', dims: [1, 3, 2], data: Float32Array.of(1, 0, 2, 0, 6, 3) } },
        queueMs: 0,
        inferMs: 0,
        batchRows: 1,
      });
    assert.deepEqual(
      vectorsOf(
        await ask(await given({ submit, spec: { ...unsaid, output: 'last_hidden_state' } }), {
          model: 'tiny',
          input: 'dog',
        }),
      ),
      [[3, 1]],
    );
  });

  it("cuts texts to the tokenizer's model_max_length if the spec does not set a limit", async () => {
    const short = await mkdtemp(join(tmpdir(), 'embedding-short-'));
    await writeTinyEncoder(short);
    await writeFile(join(short, 'tokenizer_config.json'), JSON.stringify({ model_max_length: 5 }));
    try {
      assert.deepEqual(
        vectorsOf(
          await ask(await given({ spec: unsaid, folder: short }), {
            model: 'tiny',
            input: 'the quick brown fox jumps',
          }),
        ),
        [[13, 5]],
      );
    } finally {
      await rm(short, { recursive: true });
    }
  });

  // prettier-ignore
  const misfits: readonly { name: string; embedding?: Partial<EmbeddingConfig>;
    signature?: Signature; why: RegExp }[] = [
    { name: 'refuses an output that the model does not have', embedding: { output: 'pooled' },
      why: /does not have the output 'pooled'; its outputs are last_hidden_state, sentence_embedding, labels/ },
    { name: 'refuses a pooling that does not fit the output', embedding: { output: 'last_hidden_state' },
      why:
        new RegExp("None needs an output of rank 2, 'last_hidden_state' has rank 3, " +
          String.raw`\[batch,sequence,2\]: remove pooling, or set Mean, Cls or Last, or set ` +
          "'sentence_embedding' as the output") },
    { name: 'refuses to pool an output that is already pooled', embedding: { pooling: 'Mean' },
      why:
        new RegExp(String.raw`Mean needs an output of rank 3, 'sentence_embedding' has rank 2, \[batch,2\]: ` +
          "remove pooling, or set None, or set 'last_hidden_state' as the output") },
    { name: 'refuses an output of integers', embedding: { output: 'labels' }, why: /'labels' is int64/ },
    { name: 'refuses a limit that leaves no room beside special tokens', embedding: { maxTokens: 2 },
      why: /maxTokens is 2, but must be greater than the tokenizer's 2 special tokens/ },
    { name: 'refuses a missing tokenizer', embedding: { tokenizer: 'none.json' },
      why: /the source does not contain the file .*none\.json/ },
  ];
  for (const { name, why, ...options } of misfits)
    it(name, () => assert.rejects(given(options), { code: 'BAD_CONFIG', message: why }));
});
