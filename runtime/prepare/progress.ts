/**
 * Logs the progress of long work: every two seconds and whenever another tenth is complete, but at most five lines a
 * second.
 *
 * Owns: the sums. The counted bytes may decrease when a download starts over.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';

const everyMs = 2000;

export type ProgressDeps = { readonly logger: Logger; readonly clock: Clock };

export class Progress {
  readonly #deps: ProgressDeps;
  readonly #message: string;
  readonly #expected = new Map<string, number>();
  #totalBytes = 0;
  #bytes = 0;
  #loggedAtMs: number;
  #loggedTenth = 0;

  /** @param message constant text, e.g. "downloading" */
  constructor(message: string, deps: ProgressDeps) {
    this.#message = message;
    this.#deps = deps;
    this.#loggedAtMs = deps.clock.monotonic();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a file of this size to the total. */
  expect(name: string, bytes: number): void {
    this.#totalBytes += bytes - (this.#expected.get(name) ?? 0);
    this.#expected.set(name, bytes);
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const total = this.#totalBytes;
    const percent = total === 0 ? undefined : Math.min(100, Math.floor((this.#bytes / total) * 100));
    const tenth = Math.floor((percent ?? 0) / 10);
    const now = this.#deps.clock.monotonic();
    const due =
      now - this.#loggedAtMs >= everyMs || (tenth > this.#loggedTenth && now - this.#loggedAtMs >= everyMs / 10);
    if (!due) return;
    this.#loggedAtMs = now;
    this.#loggedTenth = tenth;
    this.#deps.logger.info(this.#message, {
      bytes: this.#bytes,
      ...(percent === undefined ? {} : { totalBytes: total, percent }),
    });
  }
}
