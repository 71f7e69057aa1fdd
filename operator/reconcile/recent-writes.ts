/**
 * What one process remembers of its own writes to a model's children. Nothing of it has to survive a restart.
 *
 * Owns:  the rule that a cache which is behind is not written against twice; what the API server made of the last
 *        apply (it rounds, drops nulls, and webhooks change things), which counts as wanted from then on; what was
 *        deleted but is still in a cache; and when a refused write may be tried again.
 * Limits: an answer is believed for a few seconds only: what somebody deleted at once has to be made again.
 */
import { doubledMs } from '../../lib/retry.ts';
import type { KubeObject } from '../../kube/client/object.ts';

const believedMs = 5000;
/** A refused write is tried again after the first of these, then after twice the time, up to the second. */
const refusedMs = { baseMs: 5_000, maxMs: 300_000 } as const;

/** How the last apply of an object ended. */
type Converged = {
  readonly uid: string | undefined;
  readonly version: string | undefined;
  readonly hash: string;
  /** Absent: just as it was wanted. */ readonly answer?: KubeObject;
};
export type Refusal = {
  readonly of: string;
  readonly error: unknown;
  readonly times: number;
  /** Monotonic. */ readonly untilMs: number;
};

export class RecentWrites {
  readonly #writes = new Map<string, { readonly object: KubeObject; readonly untilMs: number }>();
  readonly #converged = new Map<string, Converged>();
  readonly #refusals = new Map<string, Refusal>();
  readonly #deleted = new Set<string>();

  /** @param nowMs monotonic */
  remember(identity: string, object: KubeObject, nowMs: number): void {
    this.#writes.set(identity, { object, untilMs: nowMs + believedMs });
  }

  /** We deleted it: what we were answered before is past, and its uid is not to be deleted twice. */
  forget(identity: string, uid?: string): void {
    this.#writes.delete(identity);
    this.#converged.delete(identity);
    if (uid !== undefined) this.#deleted.add(uid);
  }

  /** The newer of what the cache shows and what we were answered. */
  newest(identity: string, cached: KubeObject | undefined, nowMs: number): KubeObject | undefined {
    const written = this.#writes.get(identity);
    if (written === undefined) return cached;
    if (nowMs >= written.untilMs || !isAhead(written.object, cached)) {
      this.#writes.delete(identity);
      return cached;
    }
    return written.object;
  }

  /** Whether something is believed that no cache has shown yet: the pass is to look again. */
  isPending(nowMs: number): boolean {
    for (const [identity, { untilMs }] of this.#writes) if (nowMs >= untilMs) this.#writes.delete(identity);
    return this.#writes.size > 0;
  }

  /**
   * @param hash of what was applied. @param isExact whether the answer is what was wanted, so that it need not be kept
   */
  noteApplied(identity: string, hash: string, answer: KubeObject, isExact: boolean): void {
    const { uid, resourceVersion: version } = answer.metadata;
    this.#converged.set(identity, { uid, version, hash, ...(isExact ? {} : { answer }) });
    this.#refusals.delete(identity);
  }

  /** What the last apply of this very manifest to this very object came to; undefined: not known. */
  converged(
    identity: string,
    hash: string,
    live: KubeObject,
  ): { readonly isUntouched: boolean; readonly answer?: KubeObject } | undefined {
    const known = this.#converged.get(identity);
    if (known === undefined || known.hash !== hash || known.uid !== live.metadata.uid) return undefined;
    const isUntouched = known.version !== undefined && known.version === live.metadata.resourceVersion;
    return known.answer === undefined ? { isUntouched } : { isUntouched, answer: known.answer };
  }

  /**
   * @param of what was refused: the manifest's hash and the object's state, so that a change of either is tried at once
   */
  noteRefused(identity: string, of: string, error: unknown, nowMs: number): Refusal {
    const before = this.#refusals.get(identity);
    const times = before?.of === of ? before.times + 1 : 1;
    const refusal = { of, error, times, untilMs: nowMs + doubledMs(refusedMs, times) };
    this.#refusals.set(identity, refusal);
    return refusal;
  }

  /** The refusal that is still to be waited for. */
  refusal(identity: string, of: string, nowMs: number): Refusal | undefined {
    const known = this.#refusals.get(identity);
    return known !== undefined && known.of === of && nowMs < known.untilMs ? known : undefined;
  }

  /** Whether we deleted this object before. @param present uids that caches still show; others are forgotten */
  wasDeleted(uid: string | undefined, present: ReadonlySet<string>): boolean {
    for (const known of this.#deleted) if (!present.has(known)) this.#deleted.delete(known);
    return uid !== undefined && this.#deleted.has(uid);
  }
}

function isAhead(written: KubeObject, cached: KubeObject | undefined): boolean {
  // One that was going away when we wrote it is gone when the cache has none.
  if (cached === undefined) return written.metadata.deletionTimestamp === undefined;
  return (
    cached.metadata.uid === written.metadata.uid &&
    isOlder(cached.metadata.resourceVersion ?? '', written.metadata.resourceVersion ?? '')
  );
}

/** Resource versions are decimal numbers that grow (KEP-5504); of what is not a number nothing is known. */
export function isOlder(version: string, than: string): boolean {
  return /^\d+$/.test(version) && /^\d+$/.test(than) && BigInt(version) < BigInt(than);
}
