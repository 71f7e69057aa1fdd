/**
 * A sentence encoder of a few kilobytes with a tokenizer of two dozen words, made in memory.
 * Owns: the vocabulary and the weights (seeded, the same at every call). It is a smaller version of the MiniLM
 * example's network, with the same inputs, outputs and masks.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bertGraph, type GraphDraft, type Weights } from '../../examples/models/bert-graph.ts';
import type { Model } from '../../runtime/onnx/build.ts';
import { writeModel } from './onnx-models.ts';

/** The vocabulary. The index of a word is its id. The words come from MiniLM's golden text. */
export const tinyVocabulary = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  'hello',
  'world',
  ',',
  'token',
  '##izing',
  'naive',
  'cafe',
  '!',
  'a',
  'the',
  'quick',
  'brown',
  'fox',
  'jump',
  '##s',
  'over',
  'lazy',
  'dog',
  '.',
  'and',
] as const;

const hidden = 16;
const positions = 64;

/** Writes the model, tokenizer.json and tokenizer_config.json into a folder, as in a source. */
export async function writeTinyEncoder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeModel(folder, tinyEncoder());
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tinyTokenizer()));
  await writeFile(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({ tokenizer_class: 'BertTokenizer', pad_token: '[PAD]', do_lower_case: true }),
  );
}

export function tinyEncoder(): Model {
  return { opset: 17, graph: bertGraph('tiny-encoder', { layers: 2, hidden, heads: 2 }, new SeededWeights()) };
}

/** A tokenizer.json. It contains settings for truncation and padding, which a server must ignore. */
export function tinyTokenizer(): unknown {
  const special = (content: string) => ({
    id: tinyVocabulary.indexOf(content as '[PAD]'),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  });
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const inTemplate = (id: string) => ({ id, ids: [tinyVocabulary.indexOf(id as '[CLS]')], tokens: [id] });
  return {
    version: '1.0',
    truncation: { direction: 'Right', max_length: 4, strategy: 'LongestFirst', stride: 0 },
    padding: {
      strategy: { Fixed: 16 },
      direction: 'Right',
      pad_to_multiple_of: null,
      pad_id: 0,
      pad_type_id: 0,
      pad_token: '[PAD]',
    },
    added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map(special),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [token('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, token('[SEP]')],
      pair: [
        token('[CLS]'),
        { Sequence: { id: 'A', type_id: 0 } },
        token('[SEP]'),
        { Sequence: { id: 'B', type_id: 1 } },
        token('[SEP]'),
      ],
      special_tokens: { '[CLS]': inTemplate('[CLS]'), '[SEP]': inTemplate('[SEP]') },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tinyVocabulary.map((word, id) => [word, id])),
    },
  };
}

/** Random weights in a range that keeps the values of each layer near 1. */
class SeededWeights implements Weights {
  #state = 7;

  linear(draft: GraphDraft, path: string, x: string): string {
    const [from, to] = path.endsWith('intermediate')
      ? [hidden, 4 * hidden]
      : /layer\.\d+\.output$/.test(path)
        ? [4 * hidden, hidden]
        : [hidden, hidden];
    const product = draft.op(`${path}.matmul`, 'MatMul', [
      x,
      draft.floats(`${path}.weight`, [from, to], this.#noise(from * to, 2 / Math.sqrt(from))),
    ]);
    return draft.op(path, 'Add', [product, draft.floats(`${path}.bias`, [to], this.#noise(to, 0.1))]);
  }

  rows(draft: GraphDraft, path: string, indices: string): string {
    const count =
      { 'embeddings.word': tinyVocabulary.length, 'embeddings.position': positions, 'embeddings.type': 2 }[path] ?? 1;
    return draft.op(
      path,
      'Gather',
      [draft.floats(`${path}.weight`, [count, hidden], this.#noise(count * hidden, 1)), indices],
      { axis: { int: 0 } },
    );
  }

  norm(draft: GraphDraft, path: string): readonly [string, string] {
    return [
      draft.floats(
        `${path}.scale`,
        [hidden],
        Float32Array.from({ length: hidden }, () => 1),
      ),
      draft.floats(`${path}.bias`, [hidden], this.#noise(hidden, 0.1)),
    ];
  }

  /** `count` numbers, uniform in ±width, by a linear congruential generator with the constants of Numerical Recipes. */
  #noise(count: number, width: number): Float32Array {
    return Float32Array.from({ length: count }, () => {
      this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
      return (this.#state / 2 ** 31 - 1) * width;
    });
  }
}
