/**
 * The init container as a process: its termination message, its exit code, and the files that it leaves when it is
 * killed.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseLastWords, type LastWords } from '../../api/last-words.ts';
import { env } from '../../api/names.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { silentLogger } from '../../lib/log.ts';
import { engineEnvironment } from '../../runtime/prepare/prepare.ts';
import { runPrepare, type PrepareProgramDeps } from '../../runtime/prepare/program.ts';
import { readPrepared } from '../../runtime/prepare/prepared.ts';
import { modelBytes } from '../../runtime/onnx/build.ts';
import { hastyClock, runtimeConfig, sha256 } from '../support/artifact.ts';
import { FileServer } from '../support/file-server.ts';
import { heavy, matmul } from '../support/onnx-models.ts';

const main = fileURLToPath(new URL('../../runtime/main.ts', import.meta.url));

describe('prepare as a program', () => {
  let folder = '';
  let server: FileServer;
  const children: ChildProcess[] = [];
  const at = (name: string) => join(folder, name);
  const bytes = modelBytes(matmul());
  const good = () => runtimeConfig(`${server.origin}/m.onnx`, { source: { digest: sha256(bytes) } });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'program-'));
    for (const name of ['config', 'cache']) await mkdir(at(name));
    server = await FileServer.start();
    server.files.set('/m.onnx', bytes);
  });
  afterEach(async () => {
    for (const child of children.splice(0))
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function program(config: RuntimeConfig | Error, given: Partial<PrepareProgramDeps> = {}): PrepareProgramDeps {
    const readConfig = () => {
      if (config instanceof Error) throw config;
      return config;
    };
    return {
      readConfig,
      configDir: at('config'),
      cacheDir: at('cache'),
      sourceDir: undefined,
      terminationLog: at('words'),
      allowFile: false,
      logger: silentLogger,
      clock: hastyClock(),
      extra: { random: () => 0 },
      ...given,
    };
  }

  const never = new AbortController().signal;
  const words = async (): Promise<LastWords | undefined> => parseLastWords(await readFile(at('words'), 'utf8'));
  const failure = async (): Promise<{ code: string; message: string }> => {
    const said = await words();
    assert.ok(said?.kind === 'failed');
    return said;
  };

  it('describes the model and exits with 0', async () => {
    assert.equal(await runPrepare(program(good()), never), 0);
    const said = await words();
    assert.ok(said?.kind === 'resolved');
    assert.deepEqual(said.resolved, (await readPrepared(at('cache'))).resolved);
    assert.equal(said.resolved.digest, sha256(bytes));
  });

  it('refuses other bytes than the operator recorded and exits with 2', async () => {
    assert.equal(await runPrepare(program(good()), never), 0);
    const said = await words();
    assert.ok(said?.kind === 'resolved');
    await writeFile(
      join(at('config'), 'resolved.json'),
      JSON.stringify({ ...said.resolved, digest: sha256('first') }, undefined, 2),
    );
    assert.equal(await runPrepare(program(good()), never), 2);
    assert.equal((await failure()).code, 'DIGEST_MISMATCH');
  });

  // prettier-ignore
  const rows: { name: string; config: () => RuntimeConfig | Error; exit: number; code: string; message: RegExp }[] = [
    { name: 'a missing source', config:
        () => ({ ...good(), source: { ...good().source, uri: `${server.origin}/gone.onnx` } }),
      exit: 2, code: 'SOURCE_MISSING', message: /answered 404/ },
    { name: 'a source that is unavailable',
      config: () => ({ ...good(), source: { ...good().source, uri: 'http://127.0.0.1:1/m.onnx' } }),
      exit: 4, code: 'SOURCE_UNAVAILABLE', message: /ECONNREFUSED/ },
    { name: 'a bug, by its message', config: () => new TypeError('x is not a function'),
      exit: 1, code: 'INTERNAL', message: /x is not a function/ },
    { name: 'a full disk at any step',
      config: () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }),
      exit: 4, code: 'DISK_FULL', message: /no space left on the disk of/ },
    { name: 'file: on a cluster', config: () => runtimeConfig('file:///m.onnx'),
      exit: 2, code: 'SOURCE_INVALID', message: /local mode only/ },
  ];
  for (const { name, config, exit, code, message } of rows) {
    it(`reports ${name} and exits with ${exit}`, async () => {
      assert.equal(await runPrepare(program(config()), never), exit);
      const said = await failure();
      assert.equal(said.code, code);
      assert.match(said.message, message);
    });
  }

  it('refuses a resolved.json that it cannot read, so that it cannot serve other bytes', async () => {
    for (const text of ['{}', 'not json', '{"digest":3}']) {
      await writeFile(join(at('config'), 'resolved.json'), text);
      assert.equal(await runPrepare(program(good()), never), 2);
      assert.equal((await failure()).code, 'BAD_CONFIG');
    }
  });

  it('reports that it was stopped', async () => {
    const stop = new AbortController();
    server.on = () => {
      stop.abort(new Error('received SIGTERM'));
      return true;
    };
    assert.equal(await runPrepare(program(good()), stop.signal), 4);
    assert.equal((await failure()).code, 'STOPPED');
    assert.ok(!(await readdir(at('cache'))).includes('lock'));
  });

  it('succeeds without a termination log', async () => {
    assert.equal(await runPrepare(program(good(), { terminationLog: undefined }), never), 0);
    assert.equal(await runPrepare(program(good(), { terminationLog: at('no/such/folder') }), never), 0);
  });

  describe('killed', () => {
    const large = modelBytes(heavy(6));

    async function start(): Promise<ChildProcess> {
      await writeFile(
        join(at('config'), 'runtime.json'),
        JSON.stringify(runtimeConfig(`${server.origin}/l.onnx`, { source: { digest: sha256(large) } })),
      );
      // Set the environment that main.ts needs, so that it does not re-execute itself.
      const environment = {
        ...engineEnvironment(),
        [env.configDir]: at('config'),
        [env.cacheDir]: at('cache'),
        [env.terminationLog]: at('words'),
      };
      const child = spawn(process.execPath, [main, 'prepare'], {
        env: environment,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      children.push(child);
      return child;
    }
    const ended = (child: ChildProcess) =>
      new Promise<number | string | null>((resolve) => {
        child.once('close', (code, signal) => resolve(code ?? signal));
      });

    beforeEach(() => {
      server.files.set('/l.onnx', large);
    });

    it('during a download, resumes it', async () => {
      let hold = true;
      server.on = (_request, response) =>
        hold &&
        (response.writeHead(200, { etag: '"1"', 'content-length': large.length }),
        response.write(large.subarray(0, 3_000_000)),
        true);
      const first = await start();
      const exit = ended(first);
      await until(async () => (await partialBytes()) >= 2_900_000);
      first.kill('SIGKILL');
      assert.equal(await exit, 'SIGKILL');
      hold = false;
      server.etags.set('/l.onnx', '"1"');
      assert.equal(await ended(await start()), 0);
      assert.match(server.asked.at(-1)?.range ?? '', /^bytes=(29|30)\d{5}-$/);
      assert.deepEqual(await readFile(join((await readPrepared(at('cache'))).root, 'l.onnx')), Buffer.from(large));
    });

    it('while building the optimised form, builds it again', async () => {
      const first = await start();
      const exit = ended(first);
      await until(async () =>
        (await readdir(join(at('cache'), 'optimised')).catch(() => [])).some((name) => name.endsWith('.making')),
      );
      first.kill('SIGKILL');
      assert.equal(await exit, 'SIGKILL');
      assert.equal(await ended(await start()), 0);
      assert.equal((await readPrepared(at('cache'))).optimised, true);
      assert.equal(server.asked.length, 1);
      assert.ok((await readdir(join(at('cache'), 'optimised'))).every((name) => !name.endsWith('.making')));
    });

    async function partialBytes(): Promise<number> {
      const [key] = await readdir(join(at('cache'), 'partial')).catch(() => []);
      if (key === undefined) return 0;
      return (await readFile(join(at('cache'), 'partial', key, 'files', 'l.onnx')).catch(() => Buffer.alloc(0))).length;
    }
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('the expected state was not reached within 15 s');
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}
