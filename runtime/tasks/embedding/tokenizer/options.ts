/**
 * Reads the parts of tokenizer.json, and refuses what this runtime does not apply exactly.
 *
 * Owns:   the check of each part's options. Unknown options are refused, because ignoring an option could give other
 *         token ids.
 * Throws: TokenizerUnsupported; its message is appended to the file's name.
 * Pure.
 */
import { isRecord } from '../../../../api/record.ts';

/** A part of a tokenizer that this runtime cannot apply as Python's tokenizers does. */
export class TokenizerUnsupported extends Error {
  override readonly name = 'TokenizerUnsupported';
}

/** One part of tokenizer.json, e.g. a normalizer. Read each option once; `done` refuses options that were not read. */
export class Options {
  /** The part's name in messages: `normalizer Replace`. */
  readonly where: string;
  readonly type: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #read = new Set(['type']);

  /** @param part the kind of part: `normalizer`, `pre_tokenizer`, `model` */
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

  /** @param names the accepted values, in any case */
  choice<T extends string>(name: string, names: readonly T[], usual?: T): T {
    const value = this.text(name, usual);
    return (
      names.find((one) => one.toLowerCase() === value.toLowerCase()) ?? this.#wrong(name, `one of ${names.join(', ')}`)
    );
  }

  /** The vocabulary: token → id. */
  vocabulary(name: string): ReadonlyMap<string, number> {
    const value = this.value(name);
    if (!isRecord(value)) return this.#wrong(name, 'an object of tokens');
    const entries = Object.entries(value);
    const odd = entries.find(([, id]) => !isTokenId(id));
    if (odd !== undefined)
      return this.#wrong(name, `token ids below 2^31 (found: ${JSON.stringify(odd[1])} of ${JSON.stringify(odd[0])})`);
    return new Map(entries as [string, number][]);
  }

  /** @throws TokenizerUnsupported for an option that was not read */
  done(): void {
    const odd = Object.keys(this.#values).find((name) => !this.#read.has(name));
    if (odd !== undefined) throw this.unsupported(`its option ${odd}`);
  }

  /** @param what the unsupported detail of the part; absent: the whole part is unsupported */
  unsupported(what?: string): TokenizerUnsupported {
    return new TokenizerUnsupported(
      `${this.where}${what === undefined ? '' : `: ${what}`} is not supported by this runtime`,
    );
  }

  #wrong(name: string, wanted: string): never {
    throw new TokenizerUnsupported(`${this.where}: ${name} must be ${wanted}`);
  }
}

/** True for a valid token id: 0 to 2^31 - 1. */
export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value < 2 ** 31;
}
