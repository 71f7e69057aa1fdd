/**
 * The models that look up words: WordLevel and WordPiece.
 *
 * Owns:   both models, as in Python's tokenizers.
 * Throws: TokenizerUnsupported for a vocabulary without the unknown token: a word outside the vocabulary would not have
 *         an id.
 * Pure.
 */
import { remembering, type TokenModel } from './model.ts';
import type { Options } from './options.ts';

export function wordLevel(options: Options): TokenModel {
  const vocabulary = options.vocabulary('vocab');
  const unknown = unknownId(options, vocabulary);
  return { vocabulary, add: (word, ids) => void ids.push(vocabulary.get(word) ?? unknown) };
}

/** Takes the longest token that the word begins with, then repeats this with the rest of the word. */
export function wordPiece(options: Options): TokenModel {
  const vocabulary = options.vocabulary('vocab');
  const unknown = unknownId(options, vocabulary);
  const prefix = options.text('continuing_subword_prefix', '##');
  const maxLetters = options.count('max_input_chars_per_word', 100);
  let longest = 0;
  for (const token of vocabulary.keys()) longest = Math.max(longest, token.length);

  const pieceAt = (word: string, start: number): { readonly id: number; readonly end: number } | undefined => {
    const lead = start === 0 ? '' : prefix;
    for (let end = Math.min(word.length, start + Math.max(0, longest - lead.length)); end > start; end -= 1) {
      const id = isInside(word, end) ? undefined : vocabulary.get(lead + word.slice(start, end));
      if (id !== undefined) return { id, end };
    }
    return undefined;
  };
  const piecesOf = (word: string): readonly number[] => {
    if (word.length > maxLetters && lengthOf(word) > maxLetters) return [unknown];
    const found: number[] = [];
    for (let start = 0; start < word.length;) {
      const piece = pieceAt(word, start);
      if (piece === undefined) return [unknown];
      found.push(piece.id);
      start = piece.end;
    }
    return found;
  };
  return remembering({ vocabulary, piecesOf });
}

function unknownId(options: Options, vocabulary: ReadonlyMap<string, number>): number {
  const token = options.text('unk_token', options.type === 'WordPiece' ? '[UNK]' : '<unk>');
  const id = vocabulary.get(token);
  if (id === undefined) throw options.unsupported(`a vocabulary without its unk_token ${JSON.stringify(token)}`);
  return id;
}

/** True if the position is between the halves of a surrogate pair. */
function isInside(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function lengthOf(text: string): number {
  let length = 0;
  for (let at = 0; at < text.length; at += 1) if (!isInside(text, at)) length += 1;
  return length;
}
