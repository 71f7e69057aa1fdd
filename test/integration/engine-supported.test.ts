/** Checks that inspection accepts the same versions of ONNX as ONNX Runtime. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../../api/errors.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { WorkerPool } from '../../runtime/engine/pool.ts';
import { sessionOptions } from '../../runtime/engine/session-options.ts';
import { encodeModel, type Model } from '../../runtime/onnx/build.ts';
import { inspectModel } from '../../runtime/onnx/inspect.ts';
import { engineName, maxIrVersion, maxOpsets } from '../../runtime/onnx/supported.ts';
import { givenConfig } from '../support/model-server.ts';
import { identity } from '../support/onnx-models.ts';

describe('supported versions of ONNX', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'supported-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const signature = { inputs: [], outputs: [] };
  const { execution, memory } = givenConfig();
  const options = sessionOptions({
    execution,
    memory,
    threads: { workers: 1, threadsPerWorker: 1, spin: 'Off' },
    signature,
    optimized: false,
  });
  async function written(model: Model): Promise<string> {
    const path = join(folder, 'model.onnx');
    await writeFile(path, encodeModel(model));
    return path;
  }
  async function loads(model: Model): Promise<true | string> {
    try {
      const pool = await WorkerPool.start({
        model: 'm',
        workers: 1,
        task: { graphPath: await written(model), options, nice: 0 },
        clock: systemClock,
        logger: silentLogger,
      });
      await pool.close();
      return true;
    } catch (error) {
      return (error as Error).message;
    }
  }

  it('are the same as in the installed version', () =>
    assert.equal(
      `ONNX Runtime ${packageJson.dependencies['onnxruntime-node'].split('.').slice(0, 2).join('.')}`,
      engineName,
    ));

  const domains = Object.entries(maxOpsets).map(([domain, most]) => ({
    what: `operator set ${domain}`,
    at: (more: number): Model =>
      domain === 'ai.onnx'
        ? { ...identity(), opset: most + more, irVersion: 10 }
        : { ...identity(), domains: { [domain]: most + more } },
  }));
  for (const { what, at } of [
    ...domains,
    { what: 'IR version', at: (more: number): Model => ({ ...identity(), irVersion: maxIrVersion + more }) },
  ]) {
    it(`accepts the newest ${what}, and reports it for a file with a newer one`, async () => {
      assert.equal(await loads(at(0)), true);
      assert.match(String(await loads(at(1))), /could not load .*model\.onnx: (?!\/onnxruntime_src)/);
      await assert.rejects(
        inspectModel(await written(at(1))),
        (error) =>
          error instanceof AppError &&
          /ONNX Runtime 1\.30 supports at most \d+: export it with an older/.test(error.message),
      );
    });
  }
});
