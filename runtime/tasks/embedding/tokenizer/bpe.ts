/**
 * Byte-pair encoding: joins the letters of a word pair by pair, in the order that was learnt in training.
 *
 * Owns:   the model as in Python's tokenizers. A letter that the vocabulary lacks is replaced by its bytes
 *         (byte_fallback) or by the unknown token, or is dropped. A letter is any character of the word; the rank of a
 *         pair is its position in the order of training.
 * Throws: TokenizerUnsupported.
 */
import { remembering, type TokenModel } from './model.ts';
import { Options, TokenizerUnsupported } from './options.ts';

type Merges = ReadonlyMap<number, { readonly rank: number; readonly id: number }>;

type Rules = {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly merges: Merges;
  readonly prefix: string;
  readonly suffix: string;
  readonly unknown: number | undefined;
  readonly fusesUnknown: boolean;
  readonly byteFallback: boolean;
};

export function bpe(options: Options): TokenModel {
  const vocabulary = options.vocabulary('vocab');
  if (options.value('dropout') !== undefined && options.value('dropout') !== 0)
    throw options.unsupported('dropout, which gives different ids each time,');
  const unknownToken = options.textOrNone('unk_token');
  const unknown = unknownToken === undefined ? undefined : vocabulary.get(unknownToken);
  if (unknownToken !== undefined && unknown === undefined)
    throw options.unsupported(`a vocabulary without its unk_token ${JSON.stringify(unknownToken)}`);
  const prefix = options.textOrNone('continuing_subword_prefix') ?? '';
  const rules: Rules = {
    vocabulary,
    unknown,
    prefix,
    suffix: options.textOrNone('end_of_word_suffix') ?? '',
    fusesUnknown: options.flag('fuse_unk', false),
    byteFallback: options.flag('byte_fallback', false),
    merges: readMerges(options, vocabulary, prefix),
  };
  const ignoresMerges = options.flag('ignore_merges', false);
  const piecesOf = (word: string): readonly number[] => {
    const whole = ignoresMerges ? vocabulary.get(word) : undefined;
    return whole === undefined ? mergeAll(lettersOf(word, rules), rules.merges) : [whole];
  };
  return remembering({ vocabulary, piecesOf });
}

/** Two ids are combined into one key: ids are below keyFactor, so keys stay below 2^53. */
const keyFactor = 2 ** 22;

function keyOf(left: number, right: number): number {
  return left * keyFactor + right;
}

function readMerges(options: Options, vocabulary: ReadonlyMap<string, number>, prefix: string): Merges {
  for (const id of vocabulary.values())
    if (id >= keyFactor) throw options.unsupported(`the token id ${id}, above ${keyFactor - 1},`);
  const merges = new Map<number, { rank: number; id: number }>();
  for (const [rank, pair] of options.list('merges').entries()) {
    const [left, right, ...rest] = Array.isArray(pair) ? (pair as unknown[]) : String(pair).split(' ');
    const known = (token: unknown): number => {
      const id = typeof token === 'string' ? vocabulary.get(token) : undefined;
      if (id === undefined)
        throw new TokenizerUnsupported(
          `${options.where}: merge ${rank} has the token ${JSON.stringify(token)}, which is not in the vocabulary`,
        );
      return id;
    };
    if (rest.length > 0 || typeof left !== 'string' || typeof right !== 'string')
      throw new TokenizerUnsupported(`${options.where}: merge ${rank} is not a pair of tokens`);
    merges.set(keyOf(known(left), known(right)), { rank, id: known(left + right.slice(prefix.length)) });
  }
  return merges;
}

/** The ids of a word's letters before joining. */
function lettersOf(word: string, rules: Rules): number[] {
  const letters = Array.from(word);
  const ids: number[] = [];
  // Python's tokenizers writes an unknown token late: at the next known letter, or at the end of the word. The byte
  // tokens of letters in between come before the unknown token. This function gives the same order.
  let waiting: number | undefined;
  const flush = (): void => {
    if (waiting !== undefined) ids.push(waiting);
    waiting = undefined;
  };
  letters.forEach((letter, index) => {
    const token = `${index === 0 ? '' : rules.prefix}${letter}${index === letters.length - 1 ? rules.suffix : ''}`;
    const id = rules.vocabulary.get(token);
    if (id !== undefined) {
      flush();
      ids.push(id);
      return;
    }
    const bytes = rules.byteFallback ? byteIds(token, rules.vocabulary) : undefined;
    if (bytes !== undefined) {
      ids.push(...bytes);
    } else if (rules.unknown !== undefined) {
      if (!rules.fusesUnknown) flush();
      waiting = rules.unknown;
    }
  });
  flush();
  return ids;
}

/**
 * @returns one id for each UTF-8 byte of the text: the id of the byte's token, such as `<0xE2>`; undefined when the
 * vocabulary lacks one of these tokens
 */
export function byteIds(text: string, vocabulary: ReadonlyMap<string, number>): readonly number[] | undefined {
  const ids: number[] = [];
  for (const byte of Buffer.from(text, 'utf8')) {
    const id = vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}

/** A pair that can be joined; `at` is the position of its left part. */
type Candidate = { readonly rank: number; readonly at: number; readonly id: number };

/** Joins all pairs: the pair with the lowest rank first; among pairs of equal rank, the leftmost first. */
function mergeAll(ids: number[], merges: Merges): readonly number[] {
  if (ids.length < 2 || merges.size === 0) return ids;
  const word = new Word(ids, merges);
  while (word.mergeNext());
  return word.ids;
}

/** The letters of a word as a doubly linked list, and the pairs that can be joined. */
class Word {
  readonly #ids: number[];
  readonly #merges: Merges;
  /** For each letter, the position of the next letter; -1 at the end of the word. */
  readonly #next: Int32Array;
  /** For each letter, the position of the previous letter; -1 at the start of the word. */
  readonly #previous: Int32Array;
  readonly #gone: Uint8Array;
  readonly #queue = new CandidateQueue();

  constructor(ids: number[], merges: Merges) {
    this.#ids = ids;
    this.#merges = merges;
    this.#next = Int32Array.from(ids, (_, at) => (at + 1 < ids.length ? at + 1 : -1));
    this.#previous = Int32Array.from(ids, (_, at) => at - 1);
    this.#gone = new Uint8Array(ids.length);
    for (let at = 0; at + 1 < ids.length; at += 1) this.#offer(at);
  }

  get ids(): readonly number[] {
    return this.#ids.filter((_, at) => this.#gone[at] === 0);
  }

  /** @returns false when no pair is left */
  mergeNext(): boolean {
    const best = this.#queue.pop();
    if (best === undefined) return false;
    // The parts of the pair may have been joined to other letters since the pair was queued.
    if (this.#mergeAt(best.at)?.id === best.id) this.#join(best);
    return true;
  }

  #join({ at, id }: Candidate): void {
    const right = this.#next[at] ?? -1;
    const after = this.#next[right] ?? -1;
    this.#ids[at] = id;
    this.#gone[right] = 1;
    this.#next[at] = after;
    if (after >= 0) this.#previous[after] = at;
    this.#offer(this.#previous[at] ?? -1);
    this.#offer(at);
  }

  #offer(at: number): void {
    const merge = this.#mergeAt(at);
    if (merge !== undefined) this.#queue.push({ rank: merge.rank, at, id: merge.id });
  }

  /** The merge of the letter at a position with the next letter. */
  #mergeAt(at: number): { readonly rank: number; readonly id: number } | undefined {
    if (at < 0 || this.#gone[at] === 1) return undefined;
    const right = this.#next[at] ?? -1;
    return right < 0 ? undefined : this.#merges.get(keyOf(this.#ids[at] ?? 0, this.#ids[right] ?? 0));
  }
}

/** A binary heap ordered by rank, then by position from the left. */
class CandidateQueue {
  readonly #heap: Candidate[] = [];

  push(candidate: Candidate): void {
    const heap = this.#heap;
    heap.push(candidate);
    for (let at = heap.length - 1; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfBefore(at, parent)) return;
      at = parent;
    }
  }

  pop(): Candidate | undefined {
    const heap = this.#heap;
    const [best] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return best;
    heap[0] = last;
    for (let at = 0; ;) {
      const left = 2 * at + 1;
      const child = this.#isBefore(left + 1, left) ? left + 1 : left;
      if (!this.#swapIfBefore(child, at)) return best;
      at = child;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a], this.#heap[b]];
    if (one === undefined || other === undefined) return false;
    return one.rank < other.rank || (one.rank === other.rank && one.at < other.at);
  }

  /** @returns true if the entry at `at` sorts before the entry at `place`; the two are then swapped */
  #swapIfBefore(at: number, place: number): boolean {
    if (!this.#isBefore(at, place)) return false;
    const [one, other] = [this.#heap[at], this.#heap[place]];
    if (one === undefined || other === undefined) return false;
    this.#heap[at] = other;
    this.#heap[place] = one;
    return true;
  }
}
