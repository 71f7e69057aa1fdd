/**
 * SentencePiece's `precompiled_charsmap`: a trie of texts and their replacements.
 *
 * Owns:   parsing the charsmap, and looking texts up as Python's tokenizers does. A grapheme of fewer than 6 bytes is
 *         looked up as a whole. If it is longer or has no entry, each of its characters is looked up. The shortest
 *         entry that is a prefix of a looked-up text gives the replacement of the whole text.
 * Format: base64 of the trie's length (u32), the trie (a Darts double array of little-endian u32 units), and
 *         NUL-terminated texts.
 * Throws: TokenizerUnsupported for another format.
 */
import { TokenizerUnsupported } from './options.ts';

const maxGraphemeBytes = 5;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const utf8 = new TextEncoder();

export class Charsmap {
  readonly #units: Uint32Array;
  readonly #texts: Uint8Array;
  /**
   * The replacement of each text that was looked up; null if it has none. Limited in size, because requests determine
   * the keys.
   */
  readonly #known = new Map<string, string | null>();

  /** @param where names the part in messages */
  constructor(base64: string, where: string) {
    const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));
    const trieBytes = bytes.length < 4 ? -1 : new DataView(bytes.buffer).getUint32(0, true);
    if (trieBytes <= 0 || trieBytes % 4 !== 0 || 4 + trieBytes > bytes.length)
      throw new TokenizerUnsupported(`${where}: precompiled_charsmap is damaged`);
    this.#units = new Uint32Array(bytes.buffer.slice(4, 4 + trieBytes));
    this.#texts = bytes.subarray(4 + trieBytes);
  }

  normalize(text: string): string {
    let result = '';
    for (const { segment } of graphemes.segment(text)) result += this.#grapheme(segment);
    return result;
  }

  #grapheme(grapheme: string): string {
    const whole =
      grapheme.length <= maxGraphemeBytes && Buffer.byteLength(grapheme) <= maxGraphemeBytes
        ? this.#replacement(grapheme)
        : null;
    if (whole !== null) return whole;
    let result = '';
    for (const char of grapheme) result += this.#replacement(char) ?? char;
    return result;
  }

  #replacement(text: string): string | null {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= maxKnown) this.#known.clear();
    const found = this.#lookUp(utf8.encode(text));
    this.#known.set(text, found);
    return found;
  }

  /**
   * Follows the trie to the first entry. Bits of a unit: 0-7 label, 8 leaf, 9 wide offset, 10-30 offset; bit 31 marks a
   * unit that holds a value.
   */
  #lookUp(key: Uint8Array): string | null {
    let at = offsetOf(this.#units[0] ?? 0);
    for (const byte of key) {
      if (byte === 0) return null;
      at ^= byte;
      const unit = this.#units[at] ?? 0;
      if ((unit & 0x800000ff) >>> 0 !== byte) return null;
      at ^= offsetOf(unit);
      if ((unit >>> 8) & 1) return this.#textAt((this.#units[at] ?? 0) & 0x7fffffff);
    }
    return null;
  }

  #textAt(start: number): string {
    const end = this.#texts.indexOf(0, start);
    return Buffer.from(this.#texts.subarray(start, end < 0 ? this.#texts.length : end)).toString('utf8');
  }
}

const maxKnown = 65_536;

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
