/**
 * Our own last writes, until the caches show them.
 *
 * Owns:  the rule that a cache which is behind is not written against twice. A pass often comes before the
 *        watch has told of what the pass before made; without this it would make it again.
 * Limits: an answer is believed for a few seconds only: what somebody deleted at once has to be made again.
 */
import type { KubeObject } from './kube/object.ts';

const believedMs = 5000;

export class RecentWrites {
  readonly #writes = new Map<string, { readonly object: KubeObject; readonly untilMs: number }>();

  /** @param nowMs monotonic */
  remember(identity: string, object: KubeObject, nowMs: number): void {
    this.#writes.set(identity, { object, untilMs: nowMs + believedMs });
  }

  /** We deleted it: what we were answered before is past. */
  forget(identity: string): void {
    this.#writes.delete(identity);
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
}

function isAhead(written: KubeObject, cached: KubeObject | undefined): boolean {
  if (cached === undefined) return true;
  return cached.metadata.uid === written.metadata.uid && isOlder(cached.metadata.resourceVersion ?? '', written.metadata.resourceVersion ?? '');
}

/** Resource versions are decimal numbers that grow (KEP-5504); of what is not a number nothing is known. */
export function isOlder(version: string, than: string): boolean {
  return /^\d+$/.test(version) && /^\d+$/.test(than) && BigInt(version) < BigInt(than);
}
