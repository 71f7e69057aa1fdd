/**
 * Writes the folder of the MiniLM model: four variants of the model and the tokenizer's two files.
 * Owns: reading the stored weights and writing the results; minilm.ts has the arithmetic.
 * Limits: about 250 MB of memory while it runs, one variant at a time.
 */
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeMiniLm, type MiniLmVariant } from './minilm.ts';
import { readWeights, type Manifest } from './tfjs-weights.ts';

const outputs: readonly { readonly file: string; readonly variant: MiniLmVariant }[] = [
  { file: 'model.onnx', variant: 'fp32' },
  { file: 'model.u8.onnx', variant: 'u8' },
  { file: 'model.int8.onnx', variant: 'int8' },
  { file: 'model.wrong.onnx', variant: 'wrong' },
];

export async function buildMiniLm({
  weights,
  tokenizer,
  into,
}: {
  weights: string;
  tokenizer: string;
  into: string;
}): Promise<void> {
  // The digest of the manifest was checked, so its shape is known.
  const manifest = JSON.parse(await readFile(join(weights, 'model.json'), 'utf8')) as Manifest;
  const tensors = readWeights(manifest, await readFile(join(weights, 'group1-shard1of1.bin')));
  for (const { file, variant } of outputs) await writeFile(join(into, file), encodeMiniLm(tensors, variant));
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    await copyFile(join(tokenizer, file), join(into, file));
}
