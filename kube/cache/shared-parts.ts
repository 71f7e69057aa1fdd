/**
 * Replaces equal parts of many objects by one part, so that a thousand Deployments from the same template store its
 * probes, mounts and environment only once.
 *
 * Limits: remembers at most `maxParts` parts, which together have at most `maxTotalChars` characters of JSON. When one
 * of these limits is reached, all parts are forgotten; objects keep their parts. A part with more than `maxChars`
 * characters of JSON is not shared. A part must not be changed after it was shared.
 */
const maxParts = 4096;
const maxChars = 4096;
const maxTotalChars = 2 * 2 ** 20;

export class SharedParts {
  readonly #parts = new Map<string, unknown>();
  #chars = 0;

  /** @returns the same value, or an equal value that was passed earlier */
  share<T>(value: T): T {
    if (typeof value !== 'object' || value === null) return value;
    const text = JSON.stringify(value);
    if (text.length > maxChars) return value;
    const known = this.#parts.get(text);
    if (known !== undefined) return known as T;
    if (this.#parts.size >= maxParts || this.#chars + text.length > maxTotalChars) this.#forget();
    this.#parts.set(text, value);
    this.#chars += text.length;
    return value;
  }

  #forget(): void {
    this.#parts.clear();
    this.#chars = 0;
  }

  /** A copy of the record in which every field is shared. */
  shareFields<T extends object>(record: T): T {
    const out: Record<string, unknown> = {};
    for (const [field, part] of Object.entries(record)) out[field] = this.share(part as unknown);
    return out as T;
  }
}
