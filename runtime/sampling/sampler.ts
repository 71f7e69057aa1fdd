/**
 * Keeps some answered requests with their answers, while the sidecar asks for samples.
 *
 * Owns:   the choice of requests: at random, and at most one every `spacingMs`, to limit the cost of copying bodies.
 *         Each sample is returned once, so that only one pod of the candidate (the revision that may replace this one)
 *         answers it.
 * Limits: `maxSamples` samples, and a number of bytes that depends on the memory limit; the oldest samples are dropped
 *         first.
 */
import type { Clock } from '../../lib/clock.ts';
import { maxTaken, takenLimitBytes, type Message, type Sample, type Taken } from './sample.ts';

export type SamplerDeps = {
  readonly clock: Clock;
  /** Random number in [0, 1). */
  readonly random: () => number;
  /** Maximum bytes of all samples together. */
  readonly limitBytes: number;
};

/** A chosen request that waits for its answer. The caller calls exactly one of the functions, once. */
export type Draft = {
  readonly answered: (what: Omit<Sample, 'request'>) => void;
  readonly dropped: () => void;
  /** Call this when the answer is larger than `sampleLimitBytes`: the request is then counted, not kept. */
  readonly tooLarge: () => void;
};

export const maxSamples = 64;
export const spacingMs = 50;
/** Sampling ends this long after the sidecar's last request. The sidecar asks every second. */
export const lapseMs = 10_000;
/** A sample may have at most this share of `limitBytes`. */
const sampleShare = 1 / 8;
const mib = 2 ** 20;

/** @param memoryBytes the server's memory limit; undefined: no limit */
export function samplerLimitBytes(memoryBytes: number | undefined): number {
  return Math.min(8 * mib, Math.floor((memoryBytes ?? Infinity) / 64));
}

export class Sampler {
  readonly #deps: SamplerDeps;
  #share = 0;
  #callOffLapse: () => void = () => {};
  #samples: Sample[] = [];
  #heldBytes = 0;
  /** Bytes of the chosen requests that wait for their answers. */
  #draftBytes = 0;
  #chosenAtMs = -Infinity;
  #tooLarge = 0;
  /** Increases when sampling is turned off, so that drafts of the time before can be recognised and dropped. */
  #asking = 0;

  constructor(deps: SamplerDeps) {
    this.#deps = deps;
  }

  /** Whether sampling is turned on. */
  get on(): boolean {
    return this.#share > 0;
  }

  /** Maximum size of one sample. */
  get sampleLimitBytes(): number {
    return this.#deps.limitBytes * sampleShare;
  }

  get held(): { readonly samples: number; readonly bytes: number } {
    return { samples: this.#samples.length, bytes: this.#heldBytes + this.#draftBytes };
  }

  /**
   * Samples this share of requests (0 to 1) for the next `lapseMs`. A share of 0 turns sampling off and drops all
   * samples.
   */
  ask(share: number): void {
    this.#callOffLapse();
    this.#share = share;
    if (share > 0) this.#callOffLapse = this.#deps.clock.after(lapseMs, () => this.ask(0));
    else this.#forget();
  }

  /** @returns undefined for a request that is not chosen. @param body is copied before this returns */
  choose(body: Message): Draft | undefined {
    if (this.#deps.random() >= this.#share) return undefined;
    const nowMs = this.#deps.clock.monotonic();
    if (nowMs - this.#chosenAtMs < spacingMs) return undefined;
    this.#chosenAtMs = nowMs;
    const bytes = body.body.length;
    if (bytes > this.sampleLimitBytes) {
      this.#tooLarge += 1;
      return undefined;
    }
    if (this.#draftBytes + bytes > this.#deps.limitBytes) return undefined;
    return this.#draft({ body: body.body.slice(), jsonBytes: body.jsonBytes });
  }

  /** Removes and returns the oldest samples. @param max up to `maxTaken` */
  take(max: number): Taken {
    const samples: Sample[] = [];
    let roomBytes = takenLimitBytes;
    while (samples.length < Math.min(max, maxTaken)) {
      const [next] = this.#samples;
      if (next === undefined || bytesOf(next) > roomBytes) break;
      roomBytes -= bytesOf(next);
      samples.push(next);
      this.#dropOldest();
    }
    const tooLarge = this.#tooLarge;
    this.#tooLarge = 0;
    return { samples, tooLarge };
  }

  #draft(request: Message): Draft {
    const asking = this.#asking;
    const bytes = request.body.length;
    let open = true;
    this.#draftBytes += bytes;
    const close = (): boolean => {
      const was = open;
      open = false;
      if (was) this.#draftBytes -= bytes;
      return was && asking === this.#asking;
    };
    return {
      answered: (what) => {
        if (close()) this.#keep({ ...what, request });
      },
      dropped: () => void close(),
      tooLarge: () => {
        if (close()) this.#tooLarge += 1;
      },
    };
  }

  #keep(sample: Sample): void {
    const { limitBytes } = this.#deps;
    const bytes = bytesOf(sample);
    if (bytes > this.sampleLimitBytes) {
      this.#tooLarge += 1;
      return;
    }
    this.#samples.push(sample);
    this.#heldBytes += bytes;
    while (this.#samples.length > maxSamples || this.#heldBytes + this.#draftBytes > limitBytes) this.#dropOldest();
  }

  #dropOldest(): void {
    const oldest = this.#samples.shift();
    if (oldest !== undefined) this.#heldBytes -= bytesOf(oldest);
  }

  #forget(): void {
    this.#asking += 1;
    this.#samples = [];
    this.#heldBytes = 0;
    this.#tooLarge = 0;
  }
}

function bytesOf({ request, answer }: Sample): number {
  return request.body.length + answer.body.length;
}
