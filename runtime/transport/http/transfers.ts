/**
 * Counts the memory of bodies and answers on their way, and ends those that do not move.
 *
 * Owns:   the budget of all of them together, charged for bytes that are there, never for bytes that were announced;
 *         the pace that a client has to keep.
 * Limits: a transfer that moves less than `minBytesPerSecond` over `patienceMs` is cut. While another one finds no
 *         room, transfers slower than `crowdedBytesPerSecond` over the last second or two are cut at once, the slowest
 *         first. A large body leaves a quarter of the budget to small ones.
 * Ends:   a cut gives the memory back at once, and tells the transfer's owner once.
 */
import { AppError } from '../../../api/errors.ts';
import type { Clock } from '../../../lib/clock.ts';

/** What one request's body, or its answer, holds of the budget. */
export type BodyLease = {
  /** @throws AppError BODIES_FULL */
  readonly grow: (bytes: number) => void;
  /** For what is there already and cannot be refused any more. */
  readonly take: (bytes: number) => void;
  /** Gives back what has gone. */
  readonly give: (bytes: number) => void;
  /** Gives everything back. A lease that ended takes nothing more. */
  readonly end: () => void;
  /**
   * Asks the client to keep its pace from now on.
   * @param cut told once, when it does not
   */
  readonly watch: (cut: () => void) => Watch;
};

export type Watch = { readonly moved: (bytes: number) => void; readonly done: () => void };

export type Pace = {
  readonly minBytesPerSecond: number;
  readonly patienceMs: number;
  readonly crowdedBytesPerSecond: number;
};

export const usualPace: Pace = { minBytesPerSecond: 1024, patienceMs: 5_000, crowdedBytesPerSecond: 32 * 1024 };
const lookMs = 1_000;
/** Bodies up to this size may take all of the budget, others three quarters. */
const smallBytes = 256 * 1024;
const largeShare = 3 / 4;

type Transfer = {
  heldBytes: number;
  movedBytes: number;
  /** Absent: nobody waits for a client. */
  cut: (() => void) | undefined;
  /** What had moved, once a second; the oldest first. */
  marks: { readonly ms: number; readonly bytes: number }[];
  ended: boolean;
};

export type TransferDeps = { readonly limitBytes: () => number; readonly clock: Clock; readonly pace?: Pace };

export class Transfers {
  readonly #deps: TransferDeps;
  readonly #pace: Pace;
  readonly #watched = new Set<Transfer>();
  #heldBytes = 0;
  #lookedMs = 0;
  #looking = false;

  /** @param options.limitBytes read anew each time: it shrinks once the model has taken its memory */
  constructor(deps: TransferDeps) {
    this.#deps = deps;
    this.#pace = deps.pace ?? usualPace;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get limitBytes(): number {
    return this.#deps.limitBytes();
  }

  lease(): BodyLease {
    const own: Transfer = { heldBytes: 0, movedBytes: 0, cut: undefined, marks: [], ended: false };
    const take = (bytes: number): void => {
      if (own.ended) return;
      own.heldBytes += bytes;
      this.#heldBytes += bytes;
    };
    return {
      grow: (bytes) => {
        this.#makeRoom(own, bytes);
        take(bytes);
      },
      take,
      give: (bytes) => {
        if (!own.ended) take(-bytes);
      },
      end: () => this.#end(own),
      watch: (cut) => this.#watch(own, cut),
    };
  }

  /** Cuts the slowest transfer of those that are too slow while others wait for room. */
  cutSlowest(): boolean {
    const now = this.#deps.clock.monotonic();
    const slow = [...this.#watched].map((transfer) => ({ transfer, rate: rateOf(transfer, now, lookMs) }));
    const [slowest] = slow
      .filter(({ rate }) => rate < this.#pace.crowdedBytesPerSecond)
      .toSorted((a, b) => a.rate - b.rate || b.transfer.heldBytes - a.transfer.heldBytes);
    if (slowest === undefined) return false;
    this.#cut(slowest.transfer);
    return true;
  }

  /** @throws AppError BODIES_FULL */
  #makeRoom(own: Transfer, bytes: number): void {
    const limitBytes = this.#deps.limitBytes();
    const most = own.heldBytes + bytes > smallBytes ? limitBytes * largeShare : limitBytes;
    // A body alone always fits: its own limit is checked elsewhere. It does not give way to itself.
    const isFull = (): boolean => this.#heldBytes > own.heldBytes && this.#heldBytes + bytes > most;
    const mine = this.#watched.delete(own);
    while (isFull() && this.cutSlowest());
    if (mine && !own.ended) this.#watched.add(own);
    if (isFull()) throw new AppError('BODIES_FULL', { limitBytes });
  }

  #watch(own: Transfer, cut: () => void): Watch {
    own.cut = cut;
    own.movedBytes = 0;
    own.marks = [{ ms: this.#deps.clock.monotonic(), bytes: 0 }];
    this.#watched.add(own);
    this.#lookOn();
    return {
      moved: (bytes) => {
        own.movedBytes += bytes;
      },
      done: () => {
        this.#watched.delete(own);
      },
    };
  }

  #end(own: Transfer): void {
    this.#watched.delete(own);
    this.#heldBytes -= own.heldBytes;
    own.heldBytes = 0;
    own.ended = true;
  }

  #cut(transfer: Transfer): void {
    this.#end(transfer);
    transfer.cut?.();
  }

  #lookOn(): void {
    if (this.#looking || this.#watched.size === 0) return;
    this.#looking = true;
    this.#lookedMs = this.#deps.clock.monotonic();
    this.#deps.clock.after(lookMs, () => {
      this.#looking = false;
      this.#look();
      this.#lookOn();
    });
  }

  #look(): void {
    const { clock } = this.#deps;
    const { minBytesPerSecond, patienceMs } = this.#pace;
    const now = clock.monotonic();
    // This thread was held up: what clients sent meanwhile has not been read yet, so nothing is known of their pace.
    const late = now - this.#lookedMs > 2 * lookMs;
    for (const transfer of this.#watched) {
      if (late) transfer.marks = [];
      const [oldest] = transfer.marks;
      if (
        oldest !== undefined &&
        now - oldest.ms >= patienceMs &&
        rateOf(transfer, now, patienceMs) < minBytesPerSecond
      )
        this.#cut(transfer);
      else
        transfer.marks = [...transfer.marks, { ms: now, bytes: transfer.movedBytes }].slice(
          -(Math.ceil(patienceMs / lookMs) + 1),
        );
    }
  }
}

/** Bytes a second since the latest mark that is at least `overMs` old; Infinity for a transfer that is younger. */
function rateOf({ marks, movedBytes }: Transfer, now: number, overMs: number): number {
  const from = marks.findLast(({ ms }) => now - ms >= overMs);
  return from === undefined ? Infinity : ((movedBytes - from.bytes) * 1000) / (now - from.ms);
}
