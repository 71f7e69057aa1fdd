/**
 * Holds the ledger of the two revisions of one model's rollout in memory, and decides when to store it.
 *
 * Terms: A ledger has the counts of every pod, in blocks of 20 seconds, for each boot; a boot is one run of the pod's
 * runtime. A window is the blocks by which a step of the rollout is judged.
 * Owns: the ledger and its version. While the version stays the same, an evaluation of the ledger gives the same
 * result. During a rollout, the ledger is stored at the start of a window, when a pod with unstored blocks goes away,
 * and otherwise every 5 min; sidecars store the blocks of 30 min. Blocks that are dropped from the stored text are
 * dropped in memory too, so that a restart does not change a verdict.
 */
import type { Report } from '../../api/report.ts';
import { emptyLedger, fold, forgetBefore, type Ledger } from '../analysis/ledger.ts';
import type { Block, Millis, Revision } from '../rollout/state.ts';
import { packLedger, type KeptLedger } from './kept-ledger.ts';

/** Interval of writes while no pod goes away. */
export const keepEveryMs = 300_000;
/** Minimum interval of writes, even if pods come and go quickly. */
const keepAgainMs = 20_000;

export type Keeping = {
  readonly window: Block;
  /** Names of the existing pods. */
  readonly present: ReadonlySet<string>;
  readonly now: Millis;
};

export type Written = { readonly text: string; readonly window: Block; readonly atMs: Millis };

export class ModelLedger {
  readonly revisions: readonly Revision[];
  /** Names of pods that have reported to this process. */
  readonly heard = new Set<string>();
  #kept: KeptLedger;
  #version = 0;
  #forgotten: Block = 0;
  #written: Written | undefined;
  #keptVersion = -1;
  /** Keys of ended boots. All their blocks are stored. */
  #closed: ReadonlySet<string> = new Set();

  /** @param stored the ledger that an earlier process stored */
  constructor(revisions: readonly Revision[], stored?: KeptLedger & Written) {
    this.revisions = revisions;
    this.#written = stored === undefined ? undefined : { text: stored.text, window: stored.window, atMs: stored.atMs };
    this.#kept = { from: stored?.from ?? 0, ledger: ofRevisions(stored?.ledger ?? emptyLedger, revisions) };
  }

  get ledger(): Ledger {
    return this.#kept.ledger;
  }

  /** The first block that counts. Older blocks were dropped, even if the window begins before this block. */
  get from(): Block {
    return this.#kept.from;
  }

  get version(): number {
    return this.#version;
  }

  /** The last stored text; undefined before the first write. */
  get written(): Written | undefined {
    return this.#written;
  }

  /** Adds a report. Blocks that were dropped already are ignored. */
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

  /** Drops the blocks before `block`, which the caller does not need any more. */
  forgetBefore(block: Block): void {
    if (block <= this.#forgotten) return;
    this.#forgotten = block;
    this.#kept = { from: this.#kept.from, ledger: forgetBefore(this.#kept.ledger, block) };
  }

  /** Serialises the ledger if it is time to store it. @returns whether the ledger was serialised */
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
   * `ageMs` is the age of the stored copy, so frequent restarts of the operator do not change how often the ledger is
   * stored. At the start of a window a write is delayed by `keepAgainMs` at most, because the sidecars soon drop the
   * blocks before the window.
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

  /** True when the pod was deleted or its sidecar restarted: no sidecar has the blocks of this boot any more. */
  #isGone(key: string, present: ReadonlySet<string>): boolean {
    const boot = this.#kept.ledger[key];
    if (boot === undefined || !present.has(boot.pod)) return true;
    const until = (other: string): Block => this.#kept.ledger[other]?.heard.at(-1)?.[1] ?? 0;
    return Object.entries(this.#kept.ledger).some(
      ([other, { pod }]) => other !== key && pod === boot.pod && until(other) > until(key),
    );
  }

  /** True when the boot has blocks to store. Blocks that are too old to matter were dropped (forgetBefore). */
  #tells(key: string): boolean {
    return Object.keys(this.#kept.ledger[key]?.blocks ?? {}).length > 0;
  }
}

function ofRevisions(ledger: Ledger, revisions: readonly Revision[]): Ledger {
  return Object.fromEntries(Object.entries(ledger).filter(([, boot]) => revisions.includes(boot.revision)));
}
