/**
 * Keeps a few of the requests that were answered, with their answers, while somebody asks for them.
 *
 * Owns:   which requests are kept: by chance, the same chance for each, but no more than one every `spacingMs`; and who
 *         gets them: each is handed out once, so that over all pods of a candidate every sample counts once.
 * Limits: `maxSamples`, and bytes that follow from the memory limit; the oldest go first. A request in whose time it is
 *         turned off, or that was not answered well, is not kept. Not asked for, it costs one comparison a request.
 * Why:    bodies are copied: the tensors in them are handed to another thread. The spacing bounds what that costs.
 */
import type { Clock } from '../../lib/clock.ts';
import { maxTaken, takenLimitBytes, type Message, type Sample, type Taken } from './sample.ts';

export type SamplerDeps = {
  readonly clock: Clock;
  /** Chance in [0, 1). */
  readonly random: () => number;
  /** Of all that is kept. */
  readonly limitBytes: number;
};

/** What the sampler makes of a request whose answer is still to come. Exactly one of these is called, once. */
export type Draft = {
  readonly answered: (what: Omit<Sample, 'request'>) => void;
  readonly dropped: () => void;
  /** The answer is larger than `sampleLimitBytes`: it is counted, not kept. */
  readonly tooLarge: () => void;
};

export const maxSamples = 64;
export const spacingMs = 50;
/** The sidecar asks every second; when it is gone, sampling ends by itself. */
export const lapseMs = 10_000;
/** A sample has at most this share of all bytes. */
const sampleShare = 1 / 8;
const mib = 2 ** 20;

/** @param memoryBytes the server's limit; undefined for none */
export function samplerLimitBytes(memoryBytes: number | undefined): number {
  return Math.min(8 * mib, Math.floor((memoryBytes ?? Infinity) / 64));
}

export class Sampler {
  readonly #deps: SamplerDeps;
  #share = 0;
  #callOffLapse: () => void = () => {};
  #samples: Sample[] = [];
  #heldBytes = 0;
  /** Of requests whose answers are still to come. */
  #draftBytes = 0;
  #chosenAtMs = -Infinity;
  #tooLarge = 0;
  /** Drafts of an earlier asking are not kept any more. */
  #asking = 0;

  constructor(deps: SamplerDeps) {
    this.#deps = deps;
  }

  /** Whether any request is kept now. */
  get on(): boolean {
    return this.#share > 0;
  }

  /** Of one sample. */
  get sampleLimitBytes(): number {
    return this.#deps.limitBytes * sampleShare;
  }

  get held(): { readonly samples: number; readonly bytes: number } {
    return { samples: this.#samples.length, bytes: this.#heldBytes + this.#draftBytes };
  }

  /** Keeps this share of requests (0..1) for the next `lapseMs`; 0 turns it off and forgets everything. */
  ask(share: number): void {
    this.#callOffLapse();
    this.#share = share;
    if (share > 0) this.#callOffLapse = this.#deps.clock.after(lapseMs, () => this.ask(0));
    else this.#forget();
  }

  /** @returns undefined for most requests. @param body is copied before this returns */
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

  /** Hands out the oldest samples, for good. @param max up to `maxTaken` */
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
