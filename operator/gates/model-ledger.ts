/**
 * What one model's pods have told of the two revisions of a rollout, in memory, and what is to be kept of it elsewhere.
 *
 * Owns:  one ledger, its version (a look at the same version sees the same), and the rule for writing it down: when a
 *        window begins, when blocks would be lost with a pod that went away, and otherwise every five minutes, while
 *        the sidecars' rings hold thirty. At rest nothing is kept, here or there: a rollout begins by asking for the
 *        whole rings, which hold the half hour of stable's history that noise is learnt from.
 * Rule:  what is left out for want of room is left out here too, so that a restart changes no verdict.
 */
import type { Report } from '../../api/report.ts';
import { emptyLedger, fold, forgetBefore, type Ledger } from '../analysis/ledger.ts';
import type { Block, Millis, Revision } from '../rollout/state.ts';
import { packLedger, type KeptLedger } from './kept-ledger.ts';

/** How often the ledger is written down while nothing goes away. */
export const keepEveryMs = 300_000;
/** Pods that come and go fast do not make more writes than this. */
const keepAgainMs = 20_000;

export type Keeping = {
  readonly window: Block;
  /** Names of the pods that are there. */
  readonly present: ReadonlySet<string>;
  readonly now: Millis;
};

export type Written = { readonly text: string; readonly window: Block; readonly atMs: Millis };

export class ModelLedger {
  readonly revisions: readonly Revision[];
  /** Pods that were heard since this process follows them. */
  readonly heard = new Set<string>();
  #kept: KeptLedger;
  #version = 0;
  #forgotten: Block = 0;
  #written: Written | undefined;
  #keptVersion = -1;
  /** Boots of which everything that will ever be known is written down. */
  #closed: ReadonlySet<string> = new Set();

  /** @param stored what a process before this one wrote down */
  constructor(revisions: readonly Revision[], stored?: KeptLedger & Written) {
    this.revisions = revisions;
    this.#written = stored === undefined ? undefined : { text: stored.text, window: stored.window, atMs: stored.atMs };
    this.#kept = { from: stored?.from ?? 0, ledger: ofRevisions(stored?.ledger ?? emptyLedger, revisions) };
  }

  get ledger(): Ledger {
    return this.#kept.ledger;
  }

  /** First block that is looked at, whatever the window's first is. */
  get from(): Block {
    return this.#kept.from;
  }

  get version(): number {
    return this.#version;
  }

  /** What was written down last; undefined: nothing was. */
  get written(): Written | undefined {
    return this.#written;
  }

  /** Takes a report in. Blocks that were left out before stay out. */
  hear(pod: string, { bootId, revision, blocks }: Report): void {
    if (blocks === undefined || !this.revisions.includes(revision)) return;
    this.heard.add(pod);
    const { from, ledger } = this.#kept;
    const folded = fold(ledger, {
      pod,
      bootId,
      revision,
      since: blocks.since,
      until: blocks.until,
      blocks: blocks.counts,
    });
    const floor = Math.max(from, this.#forgotten);
    this.#kept = { from, ledger: floor > blocks.since ? forgetBefore(folded, floor) : folded };
    this.#version += 1;
  }

  /** Nothing before this block will be asked for again. */
  forgetBefore(block: Block): void {
    if (block <= this.#forgotten) return;
    this.#forgotten = block;
    this.#kept = { from: this.#kept.from, ledger: forgetBefore(this.#kept.ledger, block) };
  }

  /** Writes down what is known if it is time to. @returns whether it was */
  keep(keeping: Keeping): boolean {
    if (!this.#isDue(keeping)) return false;
    const { text, ...kept } = packLedger(this.#kept, keeping.window);
    const trimmed = kept.from !== this.#kept.from;
    this.#kept = kept;
    if (trimmed) this.#version += 1;
    this.#keptVersion = this.#version;
    this.#written = { text, window: keeping.window, atMs: keeping.now };
    this.#closed = new Set(Object.keys(kept.ledger).filter((key) => this.#isGone(key, keeping.present)));
    return true;
  }

  /**
   * Its age is that of what is written, whoever wrote it: processes that end young write no less often. What a window
   * begins with is written at once, for the oldest half of it is about to leave the rings.
   */
  #isDue({ window, present, now }: Keeping): boolean {
    if (this.#written === undefined) return true;
    const ageMs = now - this.#written.atMs;
    if (this.#version === this.#keptVersion || ageMs < keepAgainMs) return false;
    if (ageMs >= keepEveryMs || this.#written.window !== window) return true;
    return Object.keys(this.#kept.ledger).some(
      (key) => !this.#closed.has(key) && this.#isGone(key, present) && this.#tells(key),
    );
  }

  /** The pod is gone, or its runtime began anew: its sidecar's ring holds nothing of this boot any more. */
  #isGone(key: string, present: ReadonlySet<string>): boolean {
    const boot = this.#kept.ledger[key];
    if (boot === undefined || !present.has(boot.pod)) return true;
    const until = (other: string): Block => this.#kept.ledger[other]?.heard.at(-1)?.[1] ?? 0;
    return Object.entries(this.#kept.ledger).some(
      ([other, { pod }]) => other !== key && pod === boot.pod && until(other) > until(key),
    );
  }

  /** Of the window, or of the time before it that noise is learnt from. */
  #tells(key: string): boolean {
    return Object.keys(this.#kept.ledger[key]?.blocks ?? {}).length > 0;
  }
}

function ofRevisions(ledger: Ledger, revisions: readonly Revision[]): Ledger {
  return Object.fromEntries(Object.entries(ledger).filter(([, boot]) => revisions.includes(boot.revision)));
}
