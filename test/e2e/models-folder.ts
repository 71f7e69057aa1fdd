/**
 * The folder of models that the stories (end-to-end tests) mount by a volume claim. Each of its folders has one good or
 * bad model. Owns: the content.
 * `linear` and `doubled` give different answers, so an answer shows which of the two models gave it.
 */
import { chmod, cp, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { weight, type Model } from '../../runtime/onnx/build.ts';
import { matmul, writeModel } from '../support/onnx-models.ts';

/** Folders of the claim and what their models compute from x: `linear` answers x·W, `doubled` 2x·W. */
export const modelScales: Readonly<Record<string, number>> = { linear: 1, doubled: 2 };

/**
 * @param examples the folder that `npm run models` filled, if any
 * @returns whether the stories' folder now contains the real embedding model
 */
export async function fillModelsFolder(
  folder: string,
  examples: string | undefined,
): Promise<{ readonly hasMiniLm: boolean }> {
  for (const [name, scale] of Object.entries(modelScales)) await writeModel(join(folder, name), matmul(scale));
  await writeModel(join(folder, 'sluggish'), sluggish());
  await writeModel(join(folder, 'garbled'), garbled());
  await writeModel(join(folder, 'greedy'), greedy());
  await mkdir(join(folder, 'broken'), { recursive: true });
  await writeFile(
    join(folder, 'broken/model.onnx'),
    Buffer.from('this was a model once, before the disk filled up\n'.repeat(40)),
  );
  const hasMiniLm = examples !== undefined && existsSync(join(examples, 'minilm/model.onnx'));
  if (hasMiniLm) await cp(join(examples, 'minilm'), join(folder, 'minilm'), { recursive: true });
  await makeReadable(folder);
  return { hasMiniLm };
}

/**
 * Gives the same answers as `linear`, but takes tens of milliseconds longer: it also multiplies large matrices, whose
 * product is not part of the answer.
 */
function sluggish(): Model {
  const { graph, ...model } = matmul(1);
  const width = 512;
  const rounds = 6;
  const products = Array.from({ length: rounds }, (_, i) => ({
    op: 'MatMul',
    inputs: [i === 0 ? 'wide' : `product${i - 1}`, 'M'],
    outputs: [`product${i}`],
  }));
  return {
    ...model,
    graph: {
      ...graph,
      name: 'sluggish',
      nodes: [
        { op: 'MatMul', inputs: ['x', 'W'], outputs: ['answer'] },
        { op: 'ReduceSum', inputs: ['x'], outputs: ['sum'] },
        { op: 'Mul', inputs: ['sum', 'M'], outputs: ['wide'] },
        ...products,
        { op: 'ReduceSum', inputs: [`product${rounds - 1}`], outputs: ['work'] },
        { op: 'Mul', inputs: ['work', 'nothing'], outputs: ['gone'], attributes: {} },
        { op: 'Reshape', inputs: ['gone', 'scalar'], outputs: ['zero'] },
        { op: 'Add', inputs: ['answer', 'zero'], outputs: ['y'] },
      ],
      weights: [
        ...(graph.weights ?? []),
        weight('M', 'float32', [width, width], new Float32Array(width * width).fill(1e-3)),
        weight('nothing', 'float32', [], Float32Array.of(0)),
        weight('scalar', 'int64', [1], BigInt64Array.of(1n)),
      ],
    },
  };
}

/** Has the signature of `linear` and computes something else. */
function garbled(): Model {
  const { graph, ...model } = matmul(1);
  return {
    ...model,
    graph: { ...graph, weights: [weight('W', 'float32', [4, 2], Float32Array.from([-1, 2, 0, 1, -2, 0, 1, 1]))] },
  };
}

/**
 * Adds up 400 million numbers for each answer. They take 1.6 GB, which is more than the stories' memory limits. It has
 * the signature of `linear`.
 */
function greedy(): Model {
  const { graph } = matmul(1);
  return {
    opset: 17,
    graph: {
      name: 'greedy',
      nodes: [
        { op: 'Shape', inputs: ['x'], outputs: ['dims'] },
        { op: 'Mul', inputs: ['dims', 'growth'], outputs: ['large'] },
        { op: 'Expand', inputs: ['one', 'large'], outputs: ['ones'] },
        { op: 'ReduceSum', inputs: ['ones'], outputs: ['sum'] },
        { op: 'MatMul', inputs: ['x', 'W'], outputs: ['answer'] },
        { op: 'Add', inputs: ['answer', 'sum'], outputs: ['y'] },
      ],
      inputs: graph.inputs,
      outputs: graph.outputs,
      weights: [
        ...(graph.weights ?? []),
        weight('growth', 'int64', [2], BigInt64Array.of(10_000n, 10_000n)),
        weight('one', 'float32', [1, 1], Float32Array.of(1)),
      ],
    },
  };
}

/** Makes the files readable for every user, because the pods and the stories run as different users. */
async function makeReadable(path: string): Promise<void> {
  if (!(await stat(path)).isDirectory()) return chmod(path, 0o644);
  await chmod(path, 0o755);
  for (const name of await readdir(path)) await makeReadable(join(path, name));
}
