/** The thread that tokenises long texts: its results, its limits, and a text that blocks it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../../../../lib/clock.ts';
import { silentLogger } from '../../../../../lib/log.ts';
import type { TokenRequest } from '../../../../../runtime/tasks/embedding/read-request.ts';
import { RequestReader } from '../../../../../runtime/tasks/embedding/tokenizer-thread.ts';
import { HandClock } from '../../../../support/hand-clock.ts';
import { writeTinyEncoder } from '../../../../support/tiny-encoder.ts';

const body = (input: unknown, model = 'tiny'): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(JSON.stringify({ model, input })));
const never = new AbortController().signal;
const plain = ({ ids, ends }: TokenRequest) => ({ ids: Array.from(ids), ends: Array.from(ends) });

describe('RequestReader', () => {
  let folder = '';
  let reader: RequestReader;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reader-'));
    await writeTinyEncoder(folder);
    reader = await start(join(folder, 'tokenizer.json'));
  });
  after(async () => {
    await reader.close();
    await rm(folder, { recursive: true, force: true });
  });

  function start(path: string, memoryBytes = 256 * 2 ** 20, clock: Clock = systemClock): Promise<RequestReader> {
    const rules = { model: 'tiny', maxTokens: 8, onTooLong: 'Truncate' } as const;
    return RequestReader.start({
      task: { path, configPath: join(folder, 'tokenizer_config.json'), rules },
      clock,
      logger: silentLogger,
      memoryBytes: () => memoryBytes,
    });
  }

  it('has the vocabulary after the start', () =>
    assert.deepEqual(reader.vocabulary, { size: 24, padId: 0, before: [2], after: [3], zeroTypes: true }));

  it('reads short requests', async () => {
    assert.deepEqual(plain(await reader.read(body(['hello world', 'a']), never)), {
      ids: [2, 4, 5, 3, 2, 12, 3],
      ends: [4, 7],
    });
  });

  it('starts one thread for long requests that arrive together', async () => {
    const fresh = await start(join(folder, 'tokenizer.json'));
    const threads = (): number => readdirSync('/proc/self/task').length;
    const before = threads();
    const texts = Array.from({ length: 300 }, () => 'hello world');
    const rows = await Promise.all(Array.from({ length: 16 }, () => fresh.read(body(texts), never)));
    assert.ok(rows.every(({ ends }) => ends.length === 300));
    assert.ok(threads() - before < 8, `${threads() - before} more threads`);
    assert.ok(fresh.laterBytes > 8 * 2 ** 20, `${fresh.laterBytes} bytes`);
    await fresh.close();
  });

  it('reads long requests to the same rows', async () => {
    const texts = Array.from({ length: 300 }, (_, index) => (index % 2 === 0 ? 'hello world' : 'the lazy dog'));
    const { ids, ends } = plain(await reader.read(body(texts), never));
    assert.deepEqual(ends.slice(0, 3), [4, 9, 13]);
    assert.deepEqual(ids.slice(0, 9), [2, 4, 5, 3, 2, 13, 20, 21, 3]);
    assert.equal(ids.length, 150 * 4 + 150 * 5);
  });

  it('yields to the event loop while it reads a long request', async () => {
    let turns = 0;
    let reading = true;
    const count = (): void => {
      turns += 1;
      if (reading) setImmediate(count);
    };
    setImmediate(count);
    const request = await reader.read(body(Array.from({ length: 2000 }, () => 'tokenizing '.repeat(40))), never);
    reading = false;
    assert.equal(request.ends.length, 2000);
    assert.ok(turns > 50, `${turns} turns`);
  });

  it('finishes a short job before a long one', async () => {
    const long = reader.read(body(Array.from({ length: 2048 }, () => 'tokenizing '.repeat(200))), never);
    const first = await Promise.race([
      long.then(() => 'long'),
      reader.read(body(Array.from({ length: 400 }, () => 'a fox')), never).then(() => 'short'),
    ]);
    assert.equal(first, 'short');
    await long;
  });

  it('reports the same error in a long request as in a short one', async () => {
    const texts = Array.from({ length: 600 }, () => 'hello');
    await assert.rejects(reader.read(body([...texts, '']), never), {
      name: 'AppError',
      code: 'FIELD_INVALID',
      kind: 'invalid',
      message: 'input[600]: is empty',
    });
    await assert.rejects(reader.read(body(texts, 'other'), never), {
      code: 'MODEL_UNKNOWN',
      message: "unknown model 'other'; available: 'tiny'",
    });
  });

  it('cancels a request whose client has left', async () => {
    const client = new AbortController();
    const reading = reader.read(body(Array.from({ length: 2000 }, () => 'tokenizing '.repeat(40))), client.signal);
    client.abort(new Error('gone'));
    await assert.rejects(reading, { message: 'gone' });
    assert.equal((await reader.read(body(Array.from({ length: 500 }, () => 'hello')), never)).ends.length, 500);
  });

  it('refuses a request when its queue is full', async () => {
    const all = await Promise.allSettled(
      Array.from({ length: 66 }, () => reader.read(body(Array.from({ length: 1500 }, () => 'a')), never)),
    );
    const refused = all.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    assert.equal(refused.length, 2);
    assert.deepEqual(
      refused.map(({ reason }) => (reason as { code: string }).code),
      ['QUEUE_FULL', 'QUEUE_FULL'],
    );
  });

  it("reports with the tokenizer's message why it cannot start", async () => {
    await writeFile(join(folder, 'broken.json'), '{');
    await assert.rejects(start(join(folder, 'broken.json')), {
      code: 'BAD_CONFIG',
      message: /broken\.json: it is not JSON/,
    });
  });

  it('ends a thread that one text blocks, and continues with another thread', async () => {
    // Each additional letter multiplies the time of this pattern by about 1.6. With 60 letters, it practically never
    // ends.
    const path = join(folder, 'endless.json');
    const tokenizer = JSON.parse(await readFile(join(folder, 'tokenizer.json'), 'utf8')) as Record<string, unknown>;
    await writeFile(
      path,
      JSON.stringify({ ...tokenizer, normalizer: { type: 'Replace', pattern: { Regex: '^(b|bb)+$' }, content: '' } }),
    );
    const clock = new HandClock();
    const other = await start(path, 256 * 2 ** 20, clock);
    const held = assert.rejects(other.read(body(`${'b'.repeat(60)}c`), never), {
      code: 'RUN_STUCK',
      message: /a run of the tokenizer of tiny has not ended after 30 s/,
    });
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    // Give the thread time to start on the text.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await clock.advance(31_000);
    await held;
    assert.equal((await other.read(body('hello'), never)).ends.length, 1);
    await other.close();
  });

  it('refuses requests after it was closed', async () => {
    const other = await start(join(folder, 'tokenizer.json'));
    // The first long request starts the thread.
    await other.read(body(Array.from({ length: 1500 }, () => 'a')), never);
    const reading = other.read(body(Array.from({ length: 2000 }, () => 'tokenizing '.repeat(40))), never);
    const outcome = assert.rejects(reading, { code: 'ENGINE_LOST' });
    await new Promise((resolve) => setImmediate(resolve));
    await other.close();
    await outcome;
    await assert.rejects(other.read(body(Array.from({ length: 1500 }, () => 'a')), never), { code: 'DRAINING' });
  });
});
