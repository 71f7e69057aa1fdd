import assert from 'node:assert/strict';
import {
  openAiError,
  parseEmbeddingsRequest,
  printEmbedding,
  printEmbeddingsReply,
} from '../../../../../runtime/protocol/openai/embeddings.ts';

const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const parse = (value: unknown) => parseEmbeddingsRequest(bytes(value));

describe('parseEmbeddingsRequest', () => {
  it('accepts one text', () => {
    const { fieldOf, ...request } = parse({ model: 'm', input: 'hello' });
    assert.deepEqual(request, { model: 'm', inputs: ['hello'], encoding: 'float' });
    assert.equal(fieldOf(0), 'input');
  });

  it('accepts a list of texts', () => {
    const { fieldOf, ...request } = parse({
      model: 'm',
      input: ['a', 'b'],
      encoding_format: 'base64',
      dimensions: 8,
      user: 'u',
    });
    assert.deepEqual(request, { model: 'm', inputs: ['a', 'b'], encoding: 'base64', dimensions: 8 });
    assert.equal(fieldOf(1), 'input[1]');
  });

  it('accepts token ids', () => assert.deepEqual(parse({ model: 'm', input: [1, 2] }).inputs, [[1, 2]]));
  it('accepts lists of token ids', () =>
    assert.deepEqual(parse({ model: 'm', input: [[1], [2, 3]] }).inputs, [[1], [2, 3]]));
  it('treats null as absent', () =>
    assert.equal(
      parse({ model: 'm', input: 'a', encoding_format: null, dimensions: null, user: null }).encoding,
      'float',
    ));
  it('accepts the maximum number of inputs', () =>
    assert.equal(parse({ model: 'm', input: Array.from({ length: 2048 }, () => 'a') }).inputs.length, 2048));

  // prettier-ignore
  const refused: readonly { name: string; body: unknown; field?: string; why: RegExp }[] = [
    { name: 'refuses text that is not JSON', body: '{"model":', why: /the body is not JSON/ },
    { name: 'refuses JSON that is not an object', body: '[]', why: /not a JSON object/ },
    { name: 'refuses deep nesting', body: '{"model":"m","input":[[[1]]]}', why: /nested deeper than 3 levels/ },
    { name: 'refuses an unknown field', body: { model: 'm', input: 'a', input_type: 'query' },
      field: 'input_type', why: /unknown field/ },
    { name: 'refuses a missing model', body: { input: 'a' }, field: 'model', why: /is required/ },
    { name: 'refuses a model that is not text', body: { model: 1, input: 'a' }, field: 'model', why: /is required/ },
    { name: 'refuses a missing input', body: { model: 'm' }, field: 'input', why: /is required/ },
    { name: 'refuses an input of another type',
      body: { model: 'm', input: { a: 1 } }, field: 'input', why: /must be text/ },
    { name: 'refuses an empty list', body: { model: 'm', input: [] }, field: 'input', why: /not empty/ },
    { name: 'refuses an empty text', body: { model: 'm', input: '' }, field: 'input', why: /is empty/ },
    { name: 'refuses an empty text among others',
      body: { model: 'm', input: ['a', ''] }, field: 'input[1]', why: /is empty/ },
    { name: 'refuses half of a surrogate pair', body: { model: 'm', input: ['a', 'b\ud83d'] },
      field: 'input[1]', why: /is not text: it contains half of a surrogate pair/ },
    { name: 'refuses an empty list of ids', body: { model: 'm',
        input: [[1], []] }, field: 'input[1]', why: /is empty/ },
    { name: 'refuses ids among texts', body: { model: 'm',
        input: ['a', [1]] }, field: 'input[1]', why: /must be text/ },
    { name: 'refuses texts among ids', body: { model: 'm',
        input: [[1], 'a'] }, field: 'input[1]', why: /list of token ids/ },
    { name: 'refuses null among texts', body: { model: 'm',
        input: ['a', null] }, field: 'input[1]', why: /must be text/ },
    { name: 'refuses a negative id', body: { model: 'm', input: [1, -1] },
      field: 'input', why: /integers of 0 or more/ },
    { name: 'refuses an id with a fraction', body: { model: 'm',
        input: [[1.5]] }, field: 'input[0]', why: /integers of 0 or more/ },
    { name: 'refuses text among the ids of one input',
      body: { model: 'm', input: [1, 'a'] }, field: 'input', why: /integers of 0 or more/ },
    { name: 'refuses too many inputs', body: { model: 'm', input: Array.from({ length: 2049 }, () => 'a') },
      field: 'input', why: /2049 entries, more than the limit of 2048/ },
    { name: 'refuses another encoding', body: { model: 'm', input: 'a',
        encoding_format: 'hex' }, field: 'encoding_format', why: /'float' or 'base64'/ },
    { name: 'refuses dimensions below 1', body: { model: 'm', input: 'a',
        dimensions: 0 }, field: 'dimensions', why: /integer of 1 or more/ },
    { name: 'refuses dimensions that are text', body: { model: 'm', input: 'a', dimensions: '8' },
      field: 'dimensions', why: /an integer of 1/ },
    { name: 'refuses a user that is not text', body: { model: 'm', input: 'a', user: 7 },
      field: 'user', why: /must be text/ },
  ];
  for (const { name, body, field, why } of refused) {
    it(name, () => {
      assert.throws(
        () => parse(body),
        (error: { code: string; message: string; params: { field?: string } }) => {
          assert.match(error.message, why);
          assert.equal(error.params.field, field);
          return true;
        },
      );
    });
  }
});

describe('printEmbeddingsReply', () => {
  const vector = Float32Array.of(0.25, -1.5);

  it('prints vectors as numbers', () => {
    assert.deepEqual(JSON.parse(printEmbeddingsReply([printEmbedding(0, vector, 'float')], 'm"', 7)), {
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [0.25, -1.5] }],
      model: 'm"',
      usage: { prompt_tokens: 7, total_tokens: 7 },
    });
  });

  it('prints vectors as base64 of little-endian floats', () => {
    const { embedding } = JSON.parse(printEmbedding(3, vector, 'base64')) as { embedding: string };
    const decoded = Buffer.from(embedding, 'base64');
    assert.deepEqual([decoded.length, decoded.readFloatLE(0), decoded.readFloatLE(4)], [8, 0.25, -1.5]);
  });

  it("prints only the vector's part of the buffer", () => {
    assert.match(printEmbedding(0, Float32Array.of(1, 2, 3).subarray(1, 2), 'float'), /\[2\]/);
    assert.equal(
      Buffer.from(
        (JSON.parse(printEmbedding(0, Float32Array.of(1, 2, 3).subarray(1, 2), 'base64')) as { embedding: string })
          .embedding,
        'base64',
      ).readFloatLE(0),
      2,
    );
  });
});

describe('openAiError', () => {
  // prettier-ignore
  const rows: readonly { name: string; error: Parameters<typeof openAiError>[0]; want: unknown }[] = [
    { name: 'names the invalid field', error: { status: 400, code: 'FIELD_INVALID',
        kind: 'invalid', message: 'm', params: { field: 'input[1]' } },
      want: { type: 'invalid_request_error', param: 'input[1]', code: 'field_invalid' } },
    { name: "reports an unknown model in OpenAI's form",
      error: { status: 404, code: 'MODEL_UNKNOWN', kind: 'missing', message: 'm', params: { asked: 'x' } },
      want: { type: 'invalid_request_error', param: 'model', code: 'model_not_found' } },
    { name: "reports a text that is too long in OpenAI's form",
      error: { status: 400, code: 'INPUT_TOO_LONG', kind: 'invalid', message: 'm', params: { field: 'input' } },
      want: { type: 'invalid_request_error', param: 'input', code: 'context_length_exceeded' } },
    { name: 'reports that the server is full', error: { status: 429, code: 'QUEUE_FULL', kind: 'overloaded',
        message: 'm' }, want: { type: 'rate_limit_error', param: null, code: 'queue_full' } },
    { name: 'reports its own faults as server errors', error: { status: 500, code: 'INTERNAL', kind: 'bug',
        message: 'm' }, want: { type: 'server_error', param: null, code: 'internal' } },
  ];
  for (const { name, error, want } of rows)
    it(name, () => assert.deepEqual(openAiError(error), { error: { message: 'm', ...(want as object) } }));
});
