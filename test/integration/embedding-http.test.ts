import assert from 'node:assert/strict';
import { embed } from '../../examples/client/embeddings.ts';
import { makeServer, type RunningServer } from '../support/model-server.ts';
import { tinyEncoder, writeTinyEncoder } from '../support/tiny-encoder.ts';

type Wire = {
  status: number;
  type: string | null;
  timing: string | null;
  body: { error?: unknown; data?: { index: number; embedding: number[] }[]; usage?: unknown; model?: string };
};

describe('/v1/embeddings over HTTP', () => {
  let running: RunningServer;
  before(async () => {
    const embedding = {
      tokenizer: 'tokenizer.json',
      pooling: 'None',
      normalize: true,
      maxTokens: 16,
      onTooLong: 'Refuse',
    } as const;
    running = await makeServer({ model: tinyEncoder(), config: { name: 'tiny', task: 'Embedding', embedding } });
    await writeTinyEncoder(running.folder);
    await running.server.load();
  });
  after(() => running.end());

  async function post(body: unknown): Promise<Wire> {
    const response = await fetch(`${running.url}/v1/embeddings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      timing: response.headers.get('server-timing'),
      body: (await response.json()) as Wire['body'],
    };
  }

  it("answers in OpenAI's form", async () => {
    const { status, type, body } = await post({ model: 'tiny', input: ['hello world', 'the lazy dog'] });
    assert.equal(status, 200);
    assert.match(type ?? '', /^application\/json/);
    assert.deepEqual(
      body.data?.map(({ index, embedding }) => [index, embedding.length]),
      [
        [0, 16],
        [1, 16],
      ],
    );
    assert.deepEqual([body.model, body.usage], ['tiny', { prompt_tokens: 9, total_tokens: 9 }]);
  });

  it('reports the time of each stage of a request', async () => {
    const { timing } = await post({ model: 'tiny', input: 'hello' });
    for (const part of ['decode', 'queue', 'infer', 'encode']) assert.match(timing ?? '', new RegExp(`${part};dur=`));
  });

  it('returns the same numbers in base64', async () => {
    const [packed] = await embed(running.url, 'tiny', ['hello world']);
    const { body } = await post({ model: 'tiny', input: 'hello world' });
    assert.deepEqual(Array.from(packed!), body.data![0]!.embedding);
  });

  it('returns the same for token ids as for their text', async () => {
    const [text, ids] = [
      await post({ model: 'tiny', input: 'hello world' }),
      await post({ model: 'tiny', input: [2, 4, 5, 3] }),
    ];
    assert.deepEqual(ids.body.data, text.body.data);
  });

  // prettier-ignore
  const refused: readonly { name: string; body: unknown; status: number;
    param: string | null; code: string; message: RegExp }[] = [
    { name: 'refuses an unknown model', body: { model: 'gpt', input: 'a' }, status: 404,
      param: 'model', code: 'model_not_found', message: /unknown model 'gpt'; available: 'tiny'/ },
    { name: 'names the empty text that it refuses', body: { model: 'tiny', input: ['a', ''] },
      status: 400, param: 'input[1]', code: 'field_invalid', message: /input\[1\]: is empty/ },
    { name: 'refuses a text that is too long', body: { model: 'tiny', input: 'a '.repeat(15) }, status: 400,
      param: 'input', code: 'context_length_exceeded', message: /17 tokens, the limit is 16/ },
    { name: 'refuses a body that is not JSON', body: '{', status: 400,
      param: null, code: 'request_invalid', message: /not JSON/ },
    { name: 'refuses other dimensions than the model has', body: { model: 'tiny', input: 'a', dimensions: 8 },
      status: 400, param: 'dimensions', code: 'field_invalid', message: /returns 16 dimensions and cannot return 8/ },
  ];
  for (const { name, body, status, param, code, message } of refused) {
    it(name, async () => {
      const answer = await post(body);
      const error = answer.body.error as { message: string; type: string; param: unknown; code: unknown };
      assert.deepEqual(
        [answer.status, error.type, error.param, error.code],
        [status, 'invalid_request_error', param, code],
      );
      assert.match(error.message, message);
    });
  }

  it('also serves tensors by the Open Inference Protocol', async () => {
    const { inputs } = (await (await fetch(`${running.url}/v2/models/tiny`)).json()) as { inputs: { name: string }[] };
    assert.deepEqual(
      inputs.map(({ name }) => name),
      ['input_ids', 'attention_mask', 'token_type_ids'],
    );
  });

  it('counts tokens as the size of a request', async () => {
    const counters = JSON.stringify(await (await fetch(`${running.debugUrl}/counters`)).json());
    assert.match(counters, /"sizeClass":(4|8|16)/);
  });
});
