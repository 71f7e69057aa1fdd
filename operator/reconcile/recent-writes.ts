/**
 * Remembers the operator's own writes to a model's children. The memory is lost when the process ends; a new process
 * works correctly without it.
 *
 * Terms: A child is an object that the operator makes for a model. The answer is the object that the API server
 * returned for a write. A refusal is an error answer to a write that will not succeed until something changes.
 * Owns: what is remembered. The answer to our last write is preferred to an older version in a cache. An object that
 * equals the server's answer to the last apply counts as matching its manifest. The uids of deleted objects are
 * remembered while caches still contain the objects. A refused write has a back-off.
 * Limits: an answer is preferred for 5 s only, so that an object that was deleted right after the write is recreated.
 */
import { doubledMs } from '../../lib/retry.ts';
import type { KubeObject } from '../../api/kube-object.ts';

const believedMs = 5000;
/** Back-off of a refused write: it starts at baseMs and doubles up to maxMs. */
const refusedMs = { baseMs: 5_000, maxMs: 300_000 } as const;

/** What is known from the last apply of an object. */
type Converged = {
  readonly uid: string | undefined;
  readonly version: string | undefined;
  readonly hash: string;
  /** The shape (a hash of the field paths, child-patch.ts) of the manifest that this process wrote. */
  readonly shape: string | undefined;
  /** The server's answer. Absent if it equalled the manifest. */ readonly answer?: KubeObject;
};
export type Refusal = {
  readonly of: string;
  readonly error: unknown;
  readonly times: number;
  /** When the back-off ends, in monotonic milliseconds. */ readonly untilMs: number;
};

export class RecentWrites {
  readonly #writes = new Map<string, { readonly object: KubeObject; readonly untilMs: number }>();
  readonly #converged = new Map<string, Converged>();
  readonly #refusals = new Map<string, Refusal>();
  readonly #deleted = new Set<string>();

  readonly #keep: (answer: KubeObject) => KubeObject;

  /** @param keep returns the part of an answer to remember. If absent, the complete answer is remembered */
  constructor(keep: (answer: KubeObject) => KubeObject = (answer) => answer) {
    this.#keep = keep;
  }

  /** @param nowMs monotonic milliseconds */
  remember(identity: string, object: KubeObject, nowMs: number): void {
    this.#writes.set(identity, { object: this.#keep(object), untilMs: nowMs + believedMs });
  }

  /**
   * Call it after an object was deleted. It drops the answer to the object's last write, and records the object's uid
   * so that the object is not deleted again.
   */
  forget(identity: string, uid?: string): void {
    this.#writes.delete(identity);
    this.#converged.delete(identity);
    this.#refusals.delete(identity);
    if (uid !== undefined) this.#deleted.add(uid);
  }

  /** The cached object or the answer to our last write, whichever is newer. */
  newest(identity: string, cached: KubeObject | undefined, nowMs: number): KubeObject | undefined {
    const written = this.#writes.get(identity);
    if (written === undefined) return cached;
    if (nowMs >= written.untilMs || !isAhead(written.object, cached)) {
      this.#writes.delete(identity);
      return cached;
    }
    return written.object;
  }

  /** True while an answer is newer than the cache; the caller should schedule another pass. */
  isPending(nowMs: number): boolean {
    for (const [identity, { untilMs }] of this.#writes) if (nowMs >= untilMs) this.#writes.delete(identity);
    return this.#writes.size > 0;
  }

  /**
   * @param hash hash of the applied manifest
   * @param isExact whether the answer equals the manifest, so that the answer does not have to be kept
   */
  noteApplied(
    identity: string,
    { hash, shape }: { readonly hash: string; readonly shape: string },
    answer: KubeObject,
    isExact: boolean,
  ): void {
    const { uid, resourceVersion: version } = answer.metadata;
    this.#converged.set(identity, { uid, version, hash, shape, ...(isExact ? {} : { answer: this.#keep(answer) }) });
    this.#refusals.delete(identity);
  }

  /**
   * Call it before a server-side apply: `shape` returns undefined until the apply was answered. If the answer is lost,
   * the next write is therefore a server-side apply again, which can remove our fields.
   */
  forgetShape(identity: string): void {
    const known = this.#converged.get(identity);
    if (known !== undefined) this.#converged.set(identity, { ...known, shape: undefined });
  }

  /**
   * The shape of the manifest that this process last wrote to the object with this uid. Undefined when this process did
   * not write the object, or when the answer to its last apply is not known.
   */
  shape(identity: string, uid: string | undefined): string | undefined {
    const known = this.#converged.get(identity);
    return known !== undefined && uid !== undefined && known.uid === uid ? known.shape : undefined;
  }

  /**
   * What is known from the last apply, if it applied the same manifest (by hash) to the same object (by uid).
   * `isUntouched`: the live object has the resourceVersion of the answer.
   */
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
   * @param of identifies the write by the manifest's hash and the object's version; when one of the two changes, the
   * write is tried again at once
   */
  noteRefused(identity: string, of: string, error: unknown, nowMs: number): Refusal {
    const before = this.#refusals.get(identity);
    const times = before?.of === of ? before.times + 1 : 1;
    const refusal = { of, error, times, untilMs: nowMs + doubledMs(refusedMs, times) };
    this.#refusals.set(identity, refusal);
    return refusal;
  }

  /** Forgets the refusals of objects that are not wanted any more, such as those of abandoned revisions. */
  keepRefusals(wanted: ReadonlySet<string>): void {
    for (const identity of this.#refusals.keys()) if (!wanted.has(identity)) this.#refusals.delete(identity);
  }

  /** The refusal of the same write while the back-off lasts, otherwise undefined. */
  refusal(identity: string, of: string, nowMs: number): Refusal | undefined {
    const known = this.#refusals.get(identity);
    return known !== undefined && known.of === of && nowMs < known.untilMs ? known : undefined;
  }

  /**
   * Whether the operator deleted this object already.
   *
   * @param present the uids of the objects that caches still contain; the method forgets all other uids
   */
  wasDeleted(uid: string | undefined, present: ReadonlySet<string>): boolean {
    for (const known of this.#deleted) if (!present.has(known)) this.#deleted.delete(known);
    return uid !== undefined && this.#deleted.has(uid);
  }
}

function isAhead(written: KubeObject, cached: KubeObject | undefined): boolean {
  // When the cache does not contain the object, our write is newer, unless the object was terminating when we wrote it:
  // then the object is deleted by now.
  if (cached === undefined) return written.metadata.deletionTimestamp === undefined;
  return (
    cached.metadata.uid === written.metadata.uid &&
    isOlder(cached.metadata.resourceVersion ?? '', written.metadata.resourceVersion ?? '')
  );
}

/**
 * Resource versions are increasing decimal numbers (KEP-5504). Returns false when one of the versions is not a number.
 */
export function isOlder(version: string, than: string): boolean {
  return /^\d+$/.test(version) && /^\d+$/.test(than) && BigInt(version) < BigInt(than);
}
