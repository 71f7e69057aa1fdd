/**
 * Reads facts from the files in a model's folder: the maximum tokens of a text, the pooling (how the vectors of its
 * tokens become one vector), and the position id of the first token.
 *
 * Owns:   the precedence of the files: sentence_bert_config.json before tokenizer_config.json. The number of positions
 *         in config.json limits the maximum tokens.
 * Throws: AppError BAD_CONFIG for a file that is not a JSON object. `maxTokens` and `pooling` are undefined if no file
 *         states them. `firstPosition` is 0 without a config.json.
 */
import { dirname, join } from 'node:path';
import { ownValue } from '../../../api/record.ts';
import type { Pooling } from '../../../api/runtime-config.ts';
import { maxConfigBytes, readJsonObjectIfThere, type JsonObject } from './json-file.ts';

export type ModelFacts = {
  /** Maximum tokens of a text, including special tokens, and the file that sets this maximum. */
  readonly maxTokens: { readonly count: number; readonly file: string } | undefined;
  /** `mixed`: a pooling that this runtime does not support. */
  readonly pooling: Pooling | 'mixed' | undefined;
  /** The position id of a row's first token. */
  readonly firstPosition: number;
};

/** A larger number means "no limit": the transformers library writes 1e30 if there is no limit. */
const mostTokens = 1_000_000;
/**
 * Models whose position ids begin after the id of the padding token, as in create_position_ids_from_input_ids of the
 * transformers library.
 */
const offsetModels = new Set([
  'camembert',
  'data2vec-text',
  'esm',
  'ibert',
  'longformer',
  'luke',
  'mpnet',
  'roberta',
  'roberta-prelayernorm',
  'xlm-roberta',
  'xlm-roberta-xl',
  'xmod',
]);

/** @param tokenizer path of tokenizer.json inside the source; the other files are in the same folder */
export async function readModelFacts(tokenizer: string, sourceFile: (path: string) => string): Promise<ModelFacts> {
  const read = (name: string): Promise<JsonObject> =>
    readJsonObjectIfThere(sourceFile(join(dirname(tokenizer), name)), maxConfigBytes);
  const [tokenizerConfig, sentences, model, pooling] = await Promise.all([
    read('tokenizer_config.json'),
    read('sentence_bert_config.json'),
    read('config.json'),
    read('1_Pooling/config.json'),
  ]);
  const firstPosition = firstPositionOf(model);
  const positions = lengthOf(model['max_position_embeddings'], firstPosition);
  const said = [
    { count: lengthOf(sentences['max_seq_length']), file: 'sentence_bert_config.json' },
    { count: lengthOf(tokenizerConfig['model_max_length']), file: 'tokenizer_config.json' },
  ].find(({ count }) => count !== undefined);
  const limits = [said, { count: positions, file: 'config.json' }].flatMap((one) =>
    one?.count === undefined ? [] : [{ count: one.count, file: one.file }],
  );
  return { firstPosition, pooling: poolingOf(pooling), maxTokens: limits.toSorted((a, b) => a.count - b.count)[0] };
}

function lengthOf(value: unknown, less = 0): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > less && value <= mostTokens
    ? value - less
    : undefined;
}

function firstPositionOf(model: JsonObject): number {
  if (!offsetModels.has(String(model['model_type']))) return 0;
  const padding = model['pad_token_id'];
  return (typeof padding === 'number' && Number.isSafeInteger(padding) && padding >= 0 ? padding : 1) + 1;
}

const modes: Readonly<Record<string, Pooling>> = {
  pooling_mode_cls_token: 'Cls',
  pooling_mode_mean_tokens: 'Mean',
  pooling_mode_lasttoken: 'Last',
};

/** The pooling in a config of sentence-transformers, which has one flag for each mode. */
function poolingOf(config: JsonObject): ModelFacts['pooling'] {
  const set = Object.keys(config).filter((name) => name.startsWith('pooling_mode_') && config[name] === true);
  const [mode] = set;
  if (mode === undefined) return undefined;
  return set.length === 1 ? (ownValue(modes, mode) ?? 'mixed') : 'mixed';
}
