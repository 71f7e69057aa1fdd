/**
 * `node rows-together.ts FROM TO`: for random graphs whose rows are declared independent, runs the rows together and
 * alone. Prints a JSON line before each seed and after each comparison: {"seed": 1}, {"seed": 1, "same": true}. A graph
 * that crashes ONNX Runtime ends the process; the caller continues after the last printed seed.
 */
import { writeSync } from 'node:fs';
import { InferenceSession } from 'onnxruntime-node';
import { modelBytes, type Model } from '../../../runtime/onnx/build.ts';
import { inspectBytes } from '../../../runtime/onnx/inspect.ts';
import { chance, randomGraph } from '../random-graphs.ts';

type Tensor = { readonly dims: readonly number[]; readonly data: Float32Array };
type Run = (rows: readonly Float32Array[]) => Promise<Tensor>;

const scales = [1, 30, 0.01, 0] as const;

function rowsOf(seed: number): readonly Float32Array[] {
  const below = chance(seed);
  return scales
    .slice(0, 2 + below(3))
    .map((scale) => Float32Array.from({ length: 12 }, () => (below(2000) / 1000 - 1) * scale));
}

function isSameRow(one: Float32Array, other: Float32Array): boolean {
  const largest = one.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 1e-5);
  return (
    one.length === other.length &&
    one.every((value, at) => Object.is(value, other[at]) || Math.abs(value - (other[at] ?? NaN)) <= 1e-3 * largest)
  );
}

/** @returns undefined when ONNX Runtime refuses the run */
async function isSame(run: Run, rows: readonly Float32Array[]): Promise<boolean | undefined> {
  const together = await run(rows).catch(() => undefined);
  if (together === undefined) return undefined;
  if (together.dims[0] !== rows.length) return false;
  const width = together.data.length / rows.length;
  for (const [at, row] of rows.entries()) {
    const alone = await run([row]).catch(() => undefined);
    if (alone === undefined) return undefined;
    if (!isSameRow(alone.data, together.data.subarray(at * width, (at + 1) * width))) return false;
  }
  return true;
}

async function tryGraph(model: Model, seed: number): Promise<boolean | undefined> {
  const options = {
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
  } as unknown as InferenceSession.SessionOptions;
  const session = await InferenceSession.create(modelBytes(model), options).catch(() => undefined);
  if (session === undefined) return undefined;
  const run: Run = async (rows) => {
    const data = Float32Array.from(rows.flatMap((row) => [...row]));
    const { y } = await session.run(
      { x: { type: 'float32', dims: [rows.length, 3, 4], data, location: 'cpu' } } as never,
      ['y'],
    );
    return y as unknown as Tensor;
  };
  const same = await isSame(run, rowsOf(seed));
  await session.release();
  return same;
}

const [from = 0, to = 0] = process.argv.slice(2).map(Number);
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);
for (let seed = from; seed < to; seed += 1) {
  const model = randomGraph(seed);
  if (!inspectBytes(modelBytes(model)).rows.independent) continue;
  say({ seed });
  const same = await tryGraph(model, seed);
  if (same !== undefined) say({ seed, same });
}
