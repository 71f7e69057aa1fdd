/** Reading a request for embeddings: token ids, invalid inputs, and the limit of the thread time. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readRequest, rowOf, type ReadingRules } from '../../../../../runtime/tasks/embedding/read-request.ts';
import { Slice } from '../../../../../runtime/tasks/embedding/slice.ts';
import { TextTokenizer } from '../../../../../runtime/tasks/embedding/tokenizer.ts';
import { writeTinyEncoder } from '../../../../support/tiny-encoder.ts';

const rules: ReadingRules = { model: 'tiny', maxTokens: 8, onTooLong: 'Truncate' };
const body = (request: unknown): Uint8Array => Buffer.from(JSON.stringify(request));

/** A clock that advances by `msALook` milliseconds each time it is read. */
function ticking(msALook: number) {
  let now = 0;
  return { monotonic: () => (now += msALook) };
}

describe('readRequest', () => {
  let tokenizer: TextTokenizer;
  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'read-'));
    await writeTinyEncoder(folder);
    tokenizer = await TextTokenizer.load(join(folder, 'tokenizer.json'), join(folder, 'tokenizer_config.json'));
    await rm(folder, { recursive: true, force: true });
  });

  const read = (request: unknown, { clock = ticking(0), signal = new AbortController().signal } = {}) =>
    readRequest(body(request), tokenizer, rules, { slice: new Slice(clock, 5), signal });

  it('returns separate rows', async () => {
    const rows = await read({ model: 'tiny', input: ['hello world', 'fox'], dimensions: 4, encoding_format: 'base64' });
    assert.deepEqual(
      [0, 1].map((row) => Array.from(rowOf(rows, row))),
      [
        [2, 4, 5, 3],
        [2, 16, 3],
      ],
    );
    assert.deepEqual([rows.dimensions, rows.encoding], [4, 'base64']);
  });

  it('does not change token ids', async () =>
    assert.deepEqual(Array.from((await read({ model: 'tiny', input: [7, 8] })).ids), [7, 8]));

  it("refuses another model's name", () =>
    assert.rejects(read({ model: 'x'.repeat(300), input: 'a' }), {
      code: 'MODEL_UNKNOWN',
      message: `unknown model '${'x'.repeat(256)}'; available: 'tiny'`,
    }));

  it('names the invalid input', () =>
    assert.rejects(read({ model: 'tiny', input: [[1], [99]] }), {
      code: 'FIELD_INVALID',
      message: /^input\[1\]: contains the token id 99/,
    }));

  it('ends when the client has left', () =>
    assert.rejects(read({ model: 'tiny', input: ['a', 'b'] }, { signal: AbortSignal.abort(new Error('gone')) }), {
      message: 'gone',
    }));

  it('refuses a request that takes too much thread time', async () => {
    const input = Array.from({ length: 2048 }, () => 'a');
    await assert.rejects(read({ model: 'tiny', input }, { clock: ticking(10) }), {
      code: 'REQUEST_TOO_LARGE',
      message: /^tokenising the input takes too long/,
    });
    assert.equal((await read({ model: 'tiny', input }, { clock: ticking(1) })).ends.length, 2048);
  });
});
