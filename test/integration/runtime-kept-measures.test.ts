/** A second start of a model server reads the measurements of the first one. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Gate } from '../support/gated-server.ts';
import { startServer } from '../support/model-server.ts';
import { matmul } from '../support/onnx-models.ts';

describe('measurements of the model server', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'build-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** @returns the runs of the start, and the costs that the server then uses */
  async function start(): Promise<{ readonly runs: number; readonly config: unknown }> {
    const gate = new Gate();
    const running = await startServer({
      model: matmul(),
      prepared: (usual) => ({ ...usual, buildFolder: folder }),
      options: { loadEngine: () => Promise.resolve(gate.engine) },
    });
    const { batching, memory } = (await (await fetch(`${running.debugUrl}/config`)).json()) as {
      readonly batching: { readonly costs: unknown };
      readonly memory: { readonly runs: unknown };
    };
    await running.end();
    return { runs: gate.engine.batches.length, config: [batching.costs, memory.runs] };
  }

  it('are kept, and a second start uses them instead of measuring', async () => {
    const first = await start();
    assert.deepEqual(await readdir(folder), ['measures.json']);
    const second = await start();
    assert.deepEqual(second.config, first.config);
    assert.ok(second.runs < first.runs / 2, `${second.runs} runs after ${first.runs}`);
  });

  it('are made again when the file is broken', async () => {
    const first = await start();
    await writeFile(join(folder, 'measures.json'), 'broken');
    assert.ok((await start()).runs > first.runs / 2);
  });
});
