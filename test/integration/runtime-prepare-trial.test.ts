/** The child process of a trial run. Every failure that a model causes in the child is reported as an outcome. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { engineEnvironment } from '../../runtime/prepare/prepare.ts';
import { buildCache, type BuildJob } from '../../runtime/prepare/optimise/build-cache.ts';
import { providerShares } from '../../runtime/prepare/optimise/profile.ts';
import type { TensorSpec } from '../../runtime/engine/signature.ts';
import type { TrialTask } from '../../runtime/prepare/optimise/trial-messages.ts';
import { runTrial, type TrialBounds, type TrialOutcome } from '../../runtime/prepare/optimise/trial.ts';
import { modelBytes, type Model } from '../../runtime/onnx/build.ts';
import { inspectBytes, inspectModel } from '../../runtime/onnx/inspect.ts';
import { runtimeConfig } from '../support/artifact.ts';
import { heavy, image, int4Output, matmul, slow, writeModel } from '../support/onnx-models.ts';

describe('a trial', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trial-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const deps = { clock: systemClock, environment: engineEnvironment(), signal: new AbortController().signal };
  const options = { intraOpNumThreads: 1, logSeverityLevel: 4 };
  const x4: TensorSpec = { name: 'x', type: 'float32', dims: ['batch', 4] };
  const runs = (inputs: TensorSpec[], outputs: string[]) => ({ inputs, outputs, fills: [8], rows: [1, 2] });

  async function attempt(
    made: Model,
    task: Partial<TrialTask> = {},
    bounds: Partial<TrialBounds> = {},
    signal = deps.signal,
  ): Promise<TrialOutcome> {
    const graphPath = await writeModel(folder, made, `${made.graph.name}.onnx`);
    return await runTrial({ graphPath, options, ...task }, { timeoutMs: 60_000, ...bounds }, { ...deps, signal });
  }

  it('loads a model, runs it and measures it', async () => {
    const outcome = await attempt(matmul(), { runs: runs([x4], ['y']) });
    assert.ok(outcome.kind === 'Done' && outcome.peakBytes > 2 ** 20 && outcome.loadMs > 0);
    assert.deepEqual(outcome.result.made, [
      { fill: 8, rows: 1, seed: 1 },
      { fill: 8, rows: 2, seed: 2 },
    ]);
  });

  it('finds equal outputs for the same model and a difference for another', async () => {
    const outputs = join(folder, 'outputs');
    await attempt(matmul(), { runs: runs([x4], ['y']), writeTo: outputs });
    const same = await attempt(matmul(), { runs: runs([x4], ['y']), compareWith: outputs });
    assert.ok(same.kind === 'Done' && same.result.difference === undefined && same.result.made.length === 2);
    const other = await attempt(matmul(2), { runs: runs([x4], ['y']), compareWith: outputs });
    assert.ok(other.kind === 'Done');
    assert.match(other.result.difference ?? '', /output 'y' differs at element 0/);
  });

  it('writes a profile that names the provider', async () => {
    await attempt(matmul(), {
      runs: runs([x4], ['y']),
      options: { ...options, enableProfiling: true, profileFilePrefix: join(folder, 'profile') },
    });
    const name = (await readdir(folder)).find((one) => one.startsWith('profile'));
    assert.deepEqual(providerShares(await readFile(join(folder, name ?? ''), 'utf8')), [
      { provider: 'CPU', nodes: 1, time: 1 },
    ]);
  });

  it("returns ONNX Runtime's message when it refuses the model", async () => {
    const outcome = await attempt({
      ...matmul(),
      graph: { ...matmul().graph, name: 'refused', nodes: [{ op: 'Nonsense', inputs: ['x'], outputs: ['y'] }] },
    });
    assert.ok(outcome.kind === 'Refused');
    assert.match(outcome.why, /Nonsense/);
  });

  it('survives a model that crashes its process', async () => {
    const outcome = await attempt(int4Output(), { runs: runs([x4], ['q']) });
    assert.ok(outcome.kind === 'Died' && outcome.during === 'run', JSON.stringify(outcome));
  });

  it('stops a model that exceeds its memory', async () => {
    const outcome = await attempt(heavy(48), {}, { memoryBytes: 40 * 2 ** 20 });
    assert.ok(
      outcome.kind === 'TooLarge' && outcome.during === 'load' && outcome.peakBytes > 40 * 2 ** 20,
      JSON.stringify(outcome),
    );
  });

  it('stops a model that takes too long', async () => {
    const outcome = await attempt(
      slow(20_000, 256),
      { runs: { ...runs([{ name: 'x', type: 'float32', dims: [512, 256] }], ['y']), rows: [1, 2, 4, 8] } },
      { timeoutMs: 1500 },
    );
    assert.ok(outcome.kind === 'TooSlow', JSON.stringify(outcome));
  });

  it('ends when the signal is aborted', async () => {
    const stop = new AbortController();
    const outcome = attempt(
      slow(20_000, 256),
      { runs: runs([{ name: 'x', type: 'float32', dims: [512, 256] }], ['y']) },
      {},
      stop.signal,
    );
    systemClock.after(200, () => stop.abort(new Error('stopped')));
    await assert.rejects(outcome, /stopped/);
  });

  describe('in a build', () => {
    const job = async (made: Model, change: Partial<BuildJob> = {}): Promise<BuildJob> => {
      const { execution, memory } = runtimeConfig('file:///x');
      const graphPath = await writeModel(folder, made, `${made.graph.name}.onnx`);
      return {
        graphPath,
        name: 'm.onnx',
        info: change.info ?? (await inspectModel(graphPath)),
        execution,
        memory,
        runsMs: 60_000,
        optimiseFromBytes: 1000,
        folder: join(folder, 'optimised', made.graph.name),
        deps: { ...deps, logger: silentLogger },
        ...change,
      };
    };

    it('serves a model that crashes on generated inputs, with a note', async () => {
      // Simulates a kernel of ONNX Runtime that crashes: the model has an int4 output, and `info` says int8, as if
      // inspection had missed the type.
      const made = int4Output();
      const info = {
        ...inspectBytes(modelBytes(matmul())),
        outputs: [{ name: 'q', type: 'int8' as const, dims: ['batch', 4] }],
      };
      const result = await buildCache(await job(made, { info }));
      assert.equal(result.optimisedPath, undefined);
      assert.match(
        result.notes[0] ?? '',
        /could not be run on generated inputs, .* not measured: the process ended during the run/,
      );
    });

    it('refuses a model that exceeds the memory limit, and reports a need above the limit', async () => {
      const limitBytes = process.memoryUsage.rss() + 64 * 2 ** 20;
      await assert.rejects(buildCache(await job(heavy(96), { limitBytes })), (error: unknown) => {
        const { code, params } = error as { code: string; params: { needBytes: number } };
        return code === 'MODEL_TOO_LARGE' && params.needBytes > limitBytes;
      });
    });

    it("measures how the sessions' memory is best allocated when sizes vary, once", async () => {
      const given = await job(image());
      const { allocation } = await buildCache(given);
      const [usual, withArena] = allocation.measured.map(({ arena, runs }) => ({ arena, ...runs.at(-1) }));
      // A result of 1024 x 1024 numbers takes 1024 pages. The arena keeps them between runs.
      assert.deepEqual([usual?.arena, usual?.fill], [false, 1024], JSON.stringify(allocation));
      assert.deepEqual([withArena?.arena, withArena?.fill], [true, 1024], JSON.stringify(allocation));
      assert.ok(Number(usual?.faults) > 1000 && Number(withArena?.faults) < 500, JSON.stringify(allocation));
      assert.deepEqual((await buildCache({ ...given, graphPath: '/not/looked/at' })).allocation, allocation);
    });

    // prettier-ignore
    const unmeasured: readonly { readonly name: string; readonly made: Model; readonly change?: Partial<BuildJob>;
      readonly why: RegExp }[] = [
      { name: 'a model with inputs of fixed sizes', made: matmul(), why: /sizes of the inputs are fixed/ },
      { name: 'a model whose spec says On', made: image(), why: /spec\.memory\.arena is On/,
        change: { memory: { arena: 'On' }, folder: 'on' } },
    ];
    for (const { name, made, change, why } of unmeasured)
      it(`does not measure ${name}`, async () => {
        const where = change?.folder === undefined ? {} : { folder: join(folder, 'optimised', change.folder) };
        const { allocation } = await buildCache(await job(made, { ...change, ...where }));
        assert.deepEqual(allocation.measured, []);
        assert.match(allocation.why ?? '', why);
      });

    it('also keeps a result without an optimised form', async () => {
      const given = await job(matmul(), { optimiseFromBytes: 1e9 });
      const first = await buildCache(given);
      assert.deepEqual(await readdir(given.folder), ['result.json']);
      assert.deepEqual(await buildCache({ ...given, graphPath: '/not/looked/at' }), first);
    });
  });
});
