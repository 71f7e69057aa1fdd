/**
 * Replaces equal parts of many objects by one part, so that a thousand Deployments from the same template store its
 * probes, mounts and environment only once.
 *
 * Limits: remembers `maxParts` parts; a part whose JSON is longer than `maxChars` is not shared. When `maxParts` is
 * reached, all remembered parts are forgotten; objects keep the parts that they have. A part must not be changed after
 * it was shared.
 */
const maxParts = 4096;
const maxChars = 4096;

export class SharedParts {
  readonly #parts = new Map<string, unknown>();

  /** @returns the same value, or an equal value that was passed earlier */
  share<T>(value: T): T {
    if (typeof value !== 'object' || value === null) return value;
    const text = JSON.stringify(value);
    if (text.length > maxChars) return value;
    const known = this.#parts.get(text);
    if (known !== undefined) return known as T;
    if (this.#parts.size >= maxParts) this.#parts.clear();
    this.#parts.set(text, value);
    return value;
  }

  /** A copy of the record in which every field is shared. */
  shareFields<T extends object>(record: T): T {
    const out: Record<string, unknown> = {};
    for (const [field, part] of Object.entries(record)) out[field] = this.share(part as unknown);
    return out as T;
  }
}
