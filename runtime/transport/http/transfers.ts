/**
 * The memory budget of all request bodies and answers in transfer, and the pace that clients must keep.
 *
 * Limits: a transfer below `minBytesPerSecond` over `patienceMs` is cut. When the budget is full, transfers below
 *         `crowdedBytesPerSecond` are cut too, slowest first. Large bodies leave a quarter of the budget to small
 *         bodies.
 * Ends:   a cut releases the memory at once and notifies the transfer's owner once.
 */
import { AppError } from '../../../api/errors.ts';
import type { Clock } from '../../../lib/clock.ts';

/** The share of the budget that the body of one request, or its answer, holds. */
export type BodyLease = {
  /** @throws AppError BODIES_FULL */
  readonly grow: (bytes: number) => void;
  /** Charges bytes that are in memory already, without a check of the budget. */
  readonly take: (bytes: number) => void;
  /** Returns bytes to the budget. */
  readonly give: (bytes: number) => void;
  /** Returns all bytes to the budget; later charges to this lease are ignored. */
  readonly end: () => void;
  /**
   * Checks the client's pace from now on.
   * @param cut called once, when the client is too slow
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
/** Bodies up to this size may take all of the budget; larger bodies may take only `largeShare` of it. */
const smallBytes = 256 * 1024;
const largeShare = 3 / 4;

type Transfer = {
  heldBytes: number;
  movedBytes: number;
  /** Called when the client is too slow; undefined: the pace is not checked. */
  cut: (() => void) | undefined;
  /** `movedBytes` at each check, once a second; the oldest first. */
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

  /** @param deps.limitBytes read at each check, because the limit shrinks once the model is loaded */
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
        // Ignore charges of a transfer that has ended, because another transfer could be cut to make room for them.
        if (own.ended) return;
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

  /** Cuts the slowest transfer below `crowdedBytesPerSecond`. @returns false when every transfer is faster */
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
    // If there is no other transfer, the body always fits: body.ts limits its size. A transfer must not cut itself to
    // make room.
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
    // When this check is late, the thread was blocked and did not read the clients' data: start measuring again.
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

/** Bytes per second since the latest mark that is at least `overMs` old; Infinity for a younger transfer. */
function rateOf({ marks, movedBytes }: Transfer, now: number, overMs: number): number {
  const from = marks.findLast(({ ms }) => now - ms >= overMs);
  return from === undefined ? Infinity : ((movedBytes - from.bytes) * 1000) / (now - from.ms);
}
