/**
 * Reads the parts of tokenizer.json, and refuses what this runtime does not apply exactly.
 *
 * Owns:   the check of each part's options. An option that is not known is refused: ignoring one gives other token ids.
 * Throws: TokenizerUnsupported, in words that follow the file's name.
 * Pure.
 */
import { isRecord } from '../../../../api/record.ts';

/** Part of a tokenizer that this runtime does not apply as Python's tokenizers does. */
export class TokenizerUnsupported extends Error {
  override readonly name = 'TokenizerUnsupported';
}

/** One part of tokenizer.json, e.g. a normalizer; each option is read once, the rest is refused by `done`. */
export class Options {
  /** How messages call the part: `normalizer Replace`. */
  readonly where: string;
  readonly type: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #read = new Set(['type']);

  /** @param part what the part is: `normalizer`, `pre_tokenizer`, `model` */
  constructor(value: unknown, part: string) {
    if (!isRecord(value)) throw new TokenizerUnsupported(`${part} is not an object`);
    this.#values = value;
    this.type = typeof value['type'] === 'string' ? value['type'] : '';
    this.where = this.type === '' ? part : `${part} ${this.type}`;
  }

  /** The value of an option; undefined when it is absent or null. */
  value(name: string): unknown {
    this.#read.add(name);
    return this.#values[name] ?? undefined;
  }

  flag(name: string, usual: boolean): boolean {
    const value = this.value(name) ?? usual;
    return typeof value === 'boolean' ? value : this.#wrong(name, 'true or false');
  }

  text(name: string, usual?: string): string {
    const value = this.value(name) ?? usual;
    return typeof value === 'string' ? value : this.#wrong(name, 'text');
  }

  textOrNone(name: string): string | undefined {
    return this.value(name) === undefined ? undefined : this.text(name);
  }

  count(name: string, usual?: number): number {
    const value = this.value(name) ?? usual;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? value
      : this.#wrong(name, 'a whole number of 0 or more');
  }

  list(name: string): readonly unknown[] {
    const value = this.value(name);
    return Array.isArray(value) ? value : this.#wrong(name, 'a list');
  }

  /** @param names the values that are taken, in any case */
  choice<T extends string>(name: string, names: readonly T[], usual?: T): T {
    const value = this.text(name, usual);
    return (
      names.find((one) => one.toLowerCase() === value.toLowerCase()) ?? this.#wrong(name, `one of ${names.join(', ')}`)
    );
  }

  /** Vocabulary: token → id. */
  vocabulary(name: string): ReadonlyMap<string, number> {
    const value = this.value(name);
    if (!isRecord(value)) return this.#wrong(name, 'an object of tokens');
    const entries = Object.entries(value);
    const odd = entries.find(([, id]) => !isTokenId(id));
    if (odd !== undefined)
      return this.#wrong(name, `token ids below 2^31 (found: ${JSON.stringify(odd[1])} of ${JSON.stringify(odd[0])})`);
    return new Map(entries as [string, number][]);
  }

  /** @throws TokenizerUnsupported for an option that nobody read */
  done(): void {
    const odd = Object.keys(this.#values).find((name) => !this.#read.has(name));
    if (odd !== undefined) throw this.unsupported(`its option ${odd}`);
  }

  /** The error for a part, or for `what` of it. */
  unsupported(what?: string): TokenizerUnsupported {
    return new TokenizerUnsupported(
      `${this.where}${what === undefined ? '' : `: ${what}`} is not supported by this runtime`,
    );
  }

  #wrong(name: string, wanted: string): never {
    throw new TokenizerUnsupported(`${this.where}: ${name} must be ${wanted}`);
  }
}

/** Whether a value can be a token's id: 0 to 2^31 - 1. */
export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 31;
}
