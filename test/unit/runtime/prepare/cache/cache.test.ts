/**
 * Which entries (fetched models) of the cache are trusted, kept and evicted, and that only one `prepare` (the init
 * container that fetches models) at a time works in a cache.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../../../lib/log.ts';
import { lockCache, takeAway } from '../../../../../runtime/prepare/cache/cache-lock.ts';
import { ModelCache } from '../../../../../runtime/prepare/cache/cache.ts';
import { folderDigest } from '../../../../../runtime/prepare/cache/digest.ts';
import { fateOf, ownMark } from '../../../../../runtime/prepare/cache/process-mark.ts';
import { readPrepared, writePrepared, type Prepared } from '../../../../../runtime/prepare/prepared.ts';
import { hastyClock, keepingLogger, sha256 } from '../../../../support/artifact.ts';
import { HandClock, settle } from '../../../../support/hand-clock.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cache-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('Cache', () => {
  const open = (clock = new HandClock(Date.now()), maxBytes = 1e9) =>
    ModelCache.open(folder, { maxBytes, clock, logger: silentLogger });

  async function put(cache: ModelCache, text: string): Promise<string> {
    const staging = await cache.staging(sha256(text).slice(7, 20));
    await writeFile(staging.pathOf('m'), text);
    await cache.commit(staging, sha256(text), [{ path: 'm', bytes: text.length, digest: sha256(text) }]);
    return sha256(text);
  }

  it('returns what was stored', async () => {
    const cache = await open();
    const found = await cache.model(await put(cache, 'one'));
    assert.equal(await readFile(join(found?.root ?? '', 'm'), 'utf8'), 'one');
    assert.deepEqual(found?.files, [{ path: 'm', bytes: 3, digest: sha256('one') }]);
  });

  it('does not find another digest', async () => assert.equal(await (await open()).model(sha256('none')), undefined));

  it('drops an entry whose file was changed', async () => {
    const cache = await open();
    const digest = await put(cache, 'one');
    await writeFile(join(folder, 'models', digest.slice(7), 'files', 'm'), 'two');
    assert.equal(await cache.model(digest), undefined);
  });

  it('hashes an entry again when its times changed, and keeps it if the bytes are the same', async () => {
    const cache = await open();
    const digest = await put(cache, 'one');
    await utimes(join(folder, 'models', digest.slice(7), 'files', 'm'), 1, 1);
    assert.ok(await cache.model(digest));
    assert.ok(await cache.model(digest));
  });

  it('hashes an entry again after a week, so that corruption with unchanged times is found', async () => {
    const clock = new HandClock(Date.now());
    const cache = await open(clock);
    const digest = await put(cache, 'one');
    const path = join(folder, 'models', digest.slice(7), 'files', 'm');
    const { atime, mtime } = await stat(path);
    await writeFile(path, 'rot');
    await utimes(path, atime, mtime);
    const before = (await stat(path)).mtimeMs;
    const entry = JSON.parse(await readFile(join(folder, 'models', digest.slice(7), 'entry.json'), 'utf8')) as {
      files: { mtimeMs: number }[];
    };
    // Corruption of a file does not change its times. utimes() cannot restore fractions of a microsecond, so store the
    // time of the corrupt file in the entry.
    for (const file of entry.files) file.mtimeMs = before;
    await writeFile(join(folder, 'models', digest.slice(7), 'entry.json'), JSON.stringify({ ...entry }));
    assert.ok(await cache.model(digest));
    await clock.advance(8 * 24 * 3_600_000);
    assert.equal(await cache.model(digest), undefined);
  });

  it('treats a broken entry as absent', async () => {
    const cache = await open();
    const digest = await put(cache, 'one');
    for (const text of ['null', '{', '{"files":3}']) {
      await writeFile(join(folder, 'models', digest.slice(7), 'entry.json'), text);
      assert.equal(await cache.model(digest), undefined);
    }
  });

  it('keeps the other entry when two processes commit the same', async () => {
    const cache = await open();
    const digest = await put(cache, 'one');
    assert.equal(await put(cache, 'one'), digest);
    assert.deepEqual(await readdir(join(folder, 'partial')), []);
  });

  describe('evict', () => {
    /** Makes three entries of 1000 bytes that no process uses. Returns their digests, oldest first. */
    async function three(): Promise<string[]> {
      const cache = await open();
      const digests: string[] = [];
      for (const [index, letter] of ['a', 'b', 'c'].entries()) {
        const digest = await put(cache, letter.repeat(1000));
        await utimes(join(folder, 'models', digest.slice(7)), index + 1, index + 1);
        digests.push(digest);
      }
      await rm(join(folder, 'users'), { recursive: true });
      return digests;
    }
    const left = async (digests: string[]) => {
      const names = await readdir(join(folder, 'models'));
      return digests.map((digest) => names.includes(digest.slice(7)));
    };

    it('removes the least recently used entries', async () => {
      const digests = await three();
      // A limit of 3000 bytes has room for two entries: each has 1000 bytes plus a few hundred bytes of entry.json.
      await (await open(new HandClock(Date.now()), 3000)).evict([]);
      assert.deepEqual(await left(digests), [false, true, true]);
    });

    it('keeps entries that were passed to the server', async () => {
      const digests = await three();
      await (await open()).evict([join(folder, 'models', digests[0]?.slice(7) ?? '', 'files', 'm')], 0);
      assert.deepEqual(await left(digests), [true, false, false]);
    });

    it('keeps entries that this process uses', async () => {
      const digests = await three();
      const cache = await open();
      await cache.model(digests[1] ?? '');
      assert.ok((await cache.evict([], 0)) >= 2000);
      assert.deepEqual(await left(digests), [false, true, false]);
    });

    it('keeps entries that another live process uses, and removes the mark of a dead one', async () => {
      const digests = await three();
      const cache = await open();
      const mark = await ownMark();
      const use = (digest = '') => JSON.stringify({ entries: [`models/${digest.slice(7)}`] }).slice(1);
      await writeFile(join(folder, 'users', 'living.json'), `${JSON.stringify(mark).slice(0, -1)},${use(digests[0])}`);
      await writeFile(
        join(folder, 'users', 'gone.json'),
        `${JSON.stringify({ ...mark, started: '1' }).slice(0, -1)},${use(digests[1])}`,
      );
      await cache.evict([], 0);
      assert.deepEqual(await left(digests), [true, false, false]);
      assert.deepEqual(await readdir(join(folder, 'users')), ['living.json']);
    });
  });
});

describe('lockCache', () => {
  const never = new AbortController().signal;

  it('makes the second wait until the first is done', async () => {
    const clock = hastyClock();
    const first = await lockCache(folder, { clock, logger: silentLogger, signal: never });
    const logger = keepingLogger();
    let got = false;
    const second = lockCache(folder, { clock, logger, signal: never }).then((lock) => {
      got = true;
      return lock;
    });
    while (!logger.lines.some(({ message }) => message === 'waiting for another prepare')) await settle();
    assert.equal(got, false);
    await first.release();
    await (await second).release();
    assert.deepEqual(await readdir(folder), []);
  });

  it('takes over the lock of a killed process at once', async () => {
    const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
    const started = (await readFile(`/proc/${child.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[19] ?? '';
    const mark = { host: hostname(), pid: child.pid ?? 0, started };
    assert.equal(await fateOf(mark), 'alive');
    await writeFile(join(folder, 'lock'), JSON.stringify(mark));
    child.kill('SIGKILL');
    await new Promise((resolve) => {
      child.once('close', resolve);
    });
    const clock = hastyClock();
    const lock = await lockCache(folder, { clock, logger: silentLogger, signal: never });
    assert.ok(await lock.held());
    assert.deepEqual(clock.slept, []);
    await lock.release();
  });

  it('takes over the lock of another host after half a minute without a touch', async () => {
    await writeFile(join(folder, 'lock'), JSON.stringify({ host: 'another', pid: 1, started: '1' }));
    const clock = new HandClock();
    let got = false;
    const waiting = lockCache(folder, { clock, logger: silentLogger, signal: never }).then((lock) => {
      got = true;
      return lock;
    });
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 200) {
        while (clock.pending === 0 && !got) await settle();
        await clock.advance(200);
      }
    };
    await pass(29_000);
    assert.equal(got, false);
    await utimes(join(folder, 'lock'), 5, 5);
    await pass(29_000);
    assert.equal(got, false);
    await pass(3000);
    await (await waiting).release();
  });

  it('tells its holder when another process took it over', async () => {
    const lock = await lockCache(folder, { clock: hastyClock(), logger: silentLogger, signal: never });
    await rm(join(folder, 'lock'));
    await writeFile(join(folder, 'lock'), 'another');
    assert.equal(await lock.held(), false);
    await lock.release();
    assert.equal(await readFile(join(folder, 'lock'), 'utf8'), 'another');
  });

  it('puts back a lock that is not the one to remove', async () => {
    await writeFile(join(folder, 'lock'), 'living');
    const { ino } = await stat(join(folder, 'lock'));
    await takeAway(join(folder, 'lock'), ino + 1);
    assert.deepEqual([await readFile(join(folder, 'lock'), 'utf8'), await readdir(folder)], ['living', ['lock']]);
    await takeAway(join(folder, 'lock'), ino);
    assert.deepEqual(await readdir(folder), []);
  });

  it('stops waiting when it is aborted', async () => {
    const first = await lockCache(folder, { clock: hastyClock(), logger: silentLogger, signal: never });
    await assert.rejects(
      lockCache(folder, { clock: hastyClock(), logger: silentLogger, signal: AbortSignal.abort(new Error('stop')) }),
      /stop/,
    );
    await first.release();
  });
});

describe('readPrepared', () => {
  const prepared = {
    schema: 1,
    revision: 'aa',
    graphPath: '/m',
    root: '/',
    resolved: {},
    info: {},
  } as unknown as Prepared;

  it('reads what was written', async () => {
    await writePrepared(folder, prepared);
    assert.deepEqual(await readPrepared(folder, 'aa'), prepared);
    assert.deepEqual(await readdir(folder), ['prepared.json']);
  });

  it('says that prepare did not run when the file is missing', async () =>
    assert.rejects(readPrepared(folder), /did prepare run\?/));

  it("refuses another revision's file", async () => {
    await writePrepared(folder, prepared);
    await assert.rejects(readPrepared(folder, 'bb'), /belongs to revision aa, not bb/);
  });

  for (const text of ['', 'null', '{}', '{"schema":2}']) {
    it(`refuses ${text === '' ? 'an empty file' : text}`, async () => {
      await writeFile(join(folder, 'prepared.json'), text);
      await assert.rejects(readPrepared(folder), /written by another version/);
    });
  }
});

describe('folderDigest', () => {
  it('equals sha256sum of the sorted lines of sha256sum', () => {
    const files = [
      { path: 'b', digest: sha256('1') },
      { path: 'a/c', digest: sha256('2') },
    ];
    const lines = files.map(({ path, digest }) => `${digest.slice(7)}  ${path}\n`).sort();
    assert.equal(folderDigest(files), sha256(lines.join('')));
  });

  it('does not depend on the order of files', async () => {
    await mkdir(join(folder, 'x'));
    const files = ['x', 'Y', 'ä', 'z'].map((path) => ({ path, digest: sha256(path) }));
    assert.equal(folderDigest(files), folderDigest([...files].reverse()));
  });
});
