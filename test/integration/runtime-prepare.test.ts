/** `prepare` from a URI to a manifest, with real models and with ONNX Runtime in child processes. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AppError, type ErrorCode } from '../../api/errors.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { openPart, type OpenPart } from '../../runtime/prepare/fetch/part-file.ts';
import { prepare, type PrepareDeps } from '../../runtime/prepare/prepare.ts';
import { readPrepared, type Prepared } from '../../runtime/prepare/prepared.ts';
import { goldenPathIn } from '../../runtime/prepare/cache/golden-file.ts';
import { modelBytes, weight, type Model } from '../../runtime/onnx/build.ts';
import { inspectModel } from '../../runtime/onnx/inspect.ts';
import { hastyClock, keepingLogger, runtimeConfig, sha256 } from '../support/artifact.ts';
import { FileServer } from '../support/file-server.ts';
import { heavy, int4Output, matmul, noise, writeModel, tensorAndSequence } from '../support/onnx-models.ts';

describe('prepare', () => {
  let folder = '';
  let logger = keepingLogger();
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prepare-'));
    logger = keepingLogger();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const servers: FileServer[] = [];
  async function serve(): Promise<FileServer> {
    const server = await FileServer.start();
    servers.push(server);
    return server;
  }

  type Change = Parameters<typeof runtimeConfig>[1];
  const model = (made: Model, name = 'model.onnx') => writeModel(join(folder, 'source'), made, name);
  const folderUri = () => `${pathToFileURL(join(folder, 'source')).href}/`;
  const run = (config: RuntimeConfig, given: Partial<PrepareDeps> = {}): Promise<Prepared> =>
    prepare(config, {
      cacheDir: join(folder, 'cache'),
      allowFile: true,
      logger,
      clock: hastyClock(),
      signal: new AbortController().signal,
      random: () => 0,
      optimiseFromBytes: 1000,
      ...given,
    });
  const refusal =
    (want: ErrorCode, message: RegExp) =>
    (error: unknown): boolean => {
      assert.ok(error instanceof AppError, String(error));
      assert.deepEqual([error.code, message.test(error.message)], [want, true], error.message);
      return true;
    };

  it('writes a manifest that describes the model and how it ran', async () => {
    const path = await model(matmul());
    const prepared = await run(runtimeConfig(folderUri()));
    assert.deepEqual(await readPrepared(join(folder, 'cache'), '0123456789'), prepared);
    assert.deepEqual(
      {
        graph: prepared.graphPath,
        optimised: prepared.optimised,
        chain: prepared.providerChain,
        used: prepared.providers,
        notes: prepared.notes,
        inputs: prepared.info.inputs,
      },
      {
        graph: path,
        optimised: false,
        chain: ['CPU'],
        used: [{ provider: 'CPU', nodes: 1, time: 1 }],
        notes: [],
        inputs: [{ name: 'x', type: 'float32', dims: ['batch', 4] }],
      },
    );
    const { digest, served, signature, memoryEstimateBytes, ...rest } = prepared.resolved;
    assert.match(digest, /^sha256:[0-9a-f]{64}$/);
    assert.equal(served, prepared.files[0]?.digest);
    assert.match(signature, /^[0-9a-f]{64}$/);
    assert.ok(memoryEstimateBytes > 2 ** 20);
    assert.deepEqual(rest, {
      bytes: modelBytes(matmul()).length,
      opset: 17,
      precision: 'Source',
      provider: 'CPU',
      io: { inputs: { x: 'float32[?,4]' }, outputs: { y: 'float32[?,2]' } },
    });
  });

  it('reports the outputs that are not in answers', async () => {
    await model(tensorAndSequence());
    const { notes, resolved } = await run(runtimeConfig(folderUri()));
    assert.deepEqual(
      [notes[0], resolved.leftOut],
      [
        "outputs left out of answers because they are not tensors: 'parts' (sequence). To get them, export the model " +
          'without the last step (for scikit-learn: zipmap=False)',
        "'parts' (sequence)",
      ],
    );
  });

  it('serves the only graph of a folder with any name', async () => {
    const path = await model(matmul(), 'classifier.onnx');
    assert.equal((await run(runtimeConfig(folderUri()))).graphPath, path);
  });

  describe('of a golden set', () => {
    const line = '{"request":{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}}\n';
    const golden = (uri: string, digest: string): RuntimeConfig => ({
      ...runtimeConfig(folderUri()),
      golden: { id: 'sha256:1', metric: 'Cosine', min: 0.9, source: { kind: 'Uri', uri, digest } },
    });

    it('fetches it by its digest and records its path for the sidecar', async () => {
      await model(matmul());
      await writeFile(join(folder, 'golden.jsonl'), line);
      await run(golden(pathToFileURL(join(folder, 'golden.jsonl')).href, sha256(line)));
      const path = await goldenPathIn(join(folder, 'cache'), sha256(line));
      assert.equal(await readFile(path, 'utf8'), line);
      await assert.rejects(
        goldenPathIn(join(folder, 'cache'), sha256('another')),
        refusal('FILE_UNREADABLE', /it does not describe the golden set sha256:/),
      );
    });

    it('refuses another file than the one in the spec', async () => {
      await model(matmul());
      await writeFile(join(folder, 'golden.jsonl'), `${line}${line}`);
      await assert.rejects(
        run(golden(pathToFileURL(join(folder, 'golden.jsonl')).href, sha256(line))),
        refusal('DIGEST_MISMATCH', /golden\.jsonl/),
      );
    });

    it('refuses a folder', async () => {
      await model(matmul());
      await assert.rejects(
        run(golden(folderUri(), (await run(runtimeConfig(folderUri()))).resolved.digest)),
        refusal('SOURCE_INVALID', /a golden set is one file/),
      );
    });
  });

  it('builds the optimised form that sessions share only once', async () => {
    await model(heavy(1));
    const first = await run(runtimeConfig(folderUri()));
    assert.ok(
      first.optimised && first.graphPath.startsWith(join(folder, 'cache', 'optimised')),
      JSON.stringify(first.notes),
    );
    const made = await stat(first.graphPath);
    assert.equal(first.buildFolder, join(first.graphPath, '..'));
    await writeFile(join(first.buildFolder, 'measures.json'), 'what a server measured');
    const second = await run(runtimeConfig(folderUri()));
    assert.deepEqual(second, first);
    assert.equal((await stat(second.graphPath)).mtimeMs, made.mtimeMs);
    assert.deepEqual((await readdir(join(first.graphPath, '..'))).sort(), [
      'measures.json',
      'model.bin',
      'model.onnx',
      'result.json',
    ]);
  });

  it('builds the optimised form again when one of its files is damaged', async () => {
    await model(heavy(1));
    const { graphPath } = await run(runtimeConfig(folderUri()));
    const weights = join(graphPath, '..', 'model.bin');
    const { size } = await stat(weights);
    await writeFile(weights, 'cut off');
    await run(runtimeConfig(folderUri()));
    assert.equal((await stat(weights)).size, size);
  });

  it('does not build an optimised form with unaligned weights', async () => {
    // Two tables of 67,596 bytes each. In an optimised file, the second would start 12 bytes after a multiple of 64.
    // The operator Gather would accept that offset, but other operators would crash.
    const made = (name: string, values: number) => weight(name, 'float32', [131, 129], noise(131 * 129, values));
    const gather = (table: string, output: string) => ({ op: 'Gather', inputs: [table, 'x'], outputs: [output] });
    await model({
      opset: 17,
      graph: {
        name: 'odd',
        nodes: [gather('A', 'a'), gather('B', 'b'), { op: 'Add', inputs: ['a', 'b'], outputs: ['y'] }],
        inputs: [{ name: 'x', type: 'int64', shape: ['batch'] }],
        outputs: [{ name: 'y', type: 'float32', shape: ['batch', 129] }],
        weights: [made('A', 1), made('B', 2)],
      },
    });
    const { graphPath, optimised } = await run(runtimeConfig(folderUri()));
    assert.ok(optimised);
    assert.ok((await inspectModel(graphPath)).externalFiles.every(({ aligned }) => aligned));
  });

  it('serves the variant of the requested precision', async () => {
    await model(matmul());
    await model(matmul(2), 'model.int8.onnx');
    const prepared = await run(
      runtimeConfig(folderUri(), {
        source: { variants: [{ precision: 'INT8', path: 'model.int8.onnx' }] },
        execution: { precision: 'INT8' },
      }),
    );
    assert.deepEqual(
      [prepared.graphPath, prepared.resolved.precision],
      [join(folder, 'source', 'model.int8.onnx'), 'INT8'],
    );
    // Both configs use the same folder, so its digest is equal, but they serve different files of it.
    const other = await run(runtimeConfig(folderUri()));
    assert.equal(other.resolved.digest, prepared.resolved.digest);
    assert.notEqual(other.resolved.served, prepared.resolved.served);
  });

  it('refuses other bytes than the first pod found', async () => {
    await model(matmul());
    const { resolved } = await run(runtimeConfig(folderUri()));
    await run(runtimeConfig(folderUri()), { resolved });
    await model(matmul(3));
    await assert.rejects(
      run(runtimeConfig(folderUri()), { resolved }),
      refusal('DIGEST_MISMATCH', /first pod got other bytes/),
    );
  });

  it('counts external data as part of the model', async () => {
    await mkdir(join(folder, 'source'));
    await writeFile(join(folder, 'source', 'w.bin'), new Uint8Array(noise(8, 1).buffer));
    const external: Model = {
      ...matmul(),
      graph: {
        ...matmul().graph,
        weights: [{ name: 'W', type: 'float32', dims: [4, 2], data: { location: 'w.bin', offset: 0, length: 32 } }],
      },
    };
    await model(external);
    const { files } = await run(runtimeConfig(folderUri()));
    assert.deepEqual(
      files.map(({ path }) => path),
      ['model.onnx', 'w.bin'],
    );
    const single = `${folderUri()}model.onnx`;
    await assert.rejects(
      run(runtimeConfig(single)),
      refusal('MODEL_INVALID', /weights in 'w\.bin' are not part of the source/),
    );
  });

  it('finds the tokenizer, or reports that it is missing', async () => {
    await model(matmul());
    await assert.rejects(
      run(runtimeConfig(folderUri(), { embedding: {} })),
      refusal('SOURCE_MISSING', /tokenizer\.json does not exist: the tokenizer is not part/),
    );
    await writeFile(join(folder, 'source', 'tokenizer.json'), '{}');
    assert.equal(
      (await run(runtimeConfig(folderUri(), { embedding: {} }))).tokenizerPath,
      join(folder, 'source', 'tokenizer.json'),
    );
  });

  // prettier-ignore
  const broken: { name: string; made?: Model; bytes?: Uint8Array;
    change?: Change; want: ErrorCode; message: RegExp }[] = [
    { name: 'an int4 output', made: int4Output(), want: 'MODEL_INVALID',
      message: /model\.onnx is not a model that this runtime can serve: .*int4/ },
    { name: 'random bytes', bytes: new Uint8Array(noise(1000, 1).buffer),
      want: 'MODEL_INVALID', message: /model\.onnx is not a model/ },
    { name: 'a model with an unknown operator', made: unknownOperator(),
      want: 'ENGINE_LOAD_FAILED', message: /could not load model\.onnx: .*Nonsense/ },
    { name: 'weights over the memory limit', made: heavy(1), change: { memory: { limitBytes: 96 * 2 ** 20 } },
      want: 'MODEL_TOO_LARGE', message: /model\.onnx needs about 218Mi of memory, the limit is 96Mi/ },
    { name: 'an unavailable provider', made: matmul(),
      change: { execution: { providers: [{ name: 'CUDA', options: {} }] } },
      want: 'PROVIDER_UNAVAILABLE', message: /provider CUDA cannot be used: / },
    { name: 'a precision without a file in the spec', made: matmul(),
      change: { execution: { precision: 'FP16' } }, want: 'PRECISION_MISSING', message: /FP16/ },
  ];
  for (const { name, made, bytes, change, want, message } of broken) {
    it(`refuses ${name}`, async () => {
      if (made !== undefined) await model(made);
      else {
        await mkdir(join(folder, 'source'));
        await writeFile(join(folder, 'source', 'model.onnx'), bytes ?? '');
      }
      await assert.rejects(run(runtimeConfig(folderUri(), change)), refusal(want, message));
      assert.ok(!(await readdir(join(folder, 'cache'))).includes('prepared.json'));
      assert.ok(!(await readdir(join(folder, 'cache'))).includes('lock'));
    });
  }

  it('falls back with a note if the spec allows it', async () => {
    await model(matmul());
    const prepared = await run(
      runtimeConfig(folderUri(), {
        execution: {
          fallbackPolicy: 'Warn',
          providers: [
            { name: 'CUDA', options: {} },
            { name: 'CPU', options: {} },
          ],
        },
      }),
    );
    assert.deepEqual([prepared.providerChain, prepared.resolved.provider], [['CPU'], 'CPU']);
    assert.match(prepared.notes[0] ?? '', /CUDA cannot be used/);
  });

  it('reports that a model could not be run on generated inputs, and serves it', async () => {
    const picky: Model = {
      ...matmul(),
      graph: {
        ...matmul().graph,
        nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'] }],
        weights: [{ name: 'shape', type: 'int64', dims: [2], data: new Uint8Array(BigInt64Array.of(7n, 4n).buffer) }],
      },
    };
    await model(picky);
    const prepared = await run(runtimeConfig(folderUri()));
    assert.match(prepared.notes[0] ?? '', /the model could not be run on generated inputs, so providers and memory/);
    assert.equal(prepared.graphPath, join(folder, 'source', 'model.onnx'));
  });

  it('evicts cache entries when the disk is full, and continues', async () => {
    const server = await serve();
    const bytes = modelBytes(matmul());
    server.files.set('/m.onnx', bytes);
    await mkdir(join(folder, 'cache', 'models', 'old', 'files'), { recursive: true });
    await writeFile(join(folder, 'cache', 'models', 'old', 'files', 'm'), new Uint8Array(1000));
    let full = true;
    const openFull: OpenPart = async (path, keep) => {
      const part = await openPart(path, keep);
      return {
        ...part,
        async write(piece) {
          // Simulates a full disk, which has space again once the entry `old` was removed.
          full &&= (await readdir(join(folder, 'cache', 'models'))).includes('old');
          if (full) throw new AppError('DISK_FULL', { path });
          await part.write(piece);
        },
      };
    };
    const prepared = await run(runtimeConfig(`${server.origin}/m.onnx`, { source: { digest: sha256(bytes) } }), {
      openPart: openFull,
    });
    assert.deepEqual(await readFile(prepared.graphPath), Buffer.from(bytes));
    assert.ok(logger.lines.some(({ message }) => message === 'disk was full; trying again after emptying the cache'));
  });

  it('writes nothing after another prepare took over the cache', async () => {
    const server = await serve();
    const bytes = modelBytes(matmul());
    server.files.set('/m.onnx', bytes);
    server.on = () => {
      rmSync(join(folder, 'cache', 'lock'));
      writeFileSync(join(folder, 'cache', 'lock'), 'another');
      return false;
    };
    await assert.rejects(
      run(runtimeConfig(`${server.origin}/m.onnx`, { source: { digest: sha256(bytes) } })),
      refusal('SOURCE_UNAVAILABLE', /another prepare took over/),
    );
    assert.ok(!(await readdir(join(folder, 'cache'))).includes('prepared.json'));
  });

  it('does the work once when two run at once', async () => {
    const server = await serve();
    const bytes = modelBytes(heavy(1));
    server.files.set('/m.onnx', bytes);
    const config = runtimeConfig(`${server.origin}/m.onnx`, { source: { digest: sha256(bytes) } });
    const [one, two] = await Promise.all([run(config), run(config)]);
    assert.deepEqual(one, two);
    assert.equal(server.asked.length, 1);
  });
});

function unknownOperator(): Model {
  const made = matmul();
  return { ...made, graph: { ...made.graph, nodes: [{ op: 'Nonsense', inputs: ['x', 'W'], outputs: ['y'] }] } };
}
