/**
 * Keeps a cache equal to the API server's objects of one type: lists once, then watches until it is stopped.
 * Owns: the resourceVersion to watch from, and the meaning of each way a watch can end. A reflector retries for ever.
 * Ends: `run` resolves soon after its signal is aborted, and never rejects.
 * Rule: a list always reads storage, not the server's cache. The server's cache may be old: a new leader that starts
 * from an older state could undo the work of the last leader. Lists occur only at the start and when the
 * resourceVersion is lost.
 */
import { AppError, messageOf } from '../../api/errors.ts';
import { onAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Registry } from '../../lib/metrics.ts';
import { backoffMs, type Backoff } from '../../lib/retry.ts';
import { Cache, type IndexBy, type Lister } from './cache.ts';
import type { KubeClient, WatchEvent } from '../client/kube-client.ts';
import { isGone, isTooLargeVersion, statusOf } from '../client/kube-error.ts';
import { keyOf, type KubeObject } from '../../api/kube-object.ts';
import { ReflectorMetrics } from './reflector-metrics.ts';
import type { ResourceType } from '../client/resource-type.ts';

export type ReflectorDeps<T extends KubeObject> = {
  readonly client: Pick<KubeClient, 'list' | 'watch'>;
  readonly type: ResourceType<T>;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly indexes?: Readonly<Record<string, IndexBy<T>>>;
  /**
   * Makes the object to store from an object that the server sent. The default is `dropManagedFields`. `before` is the
   * stored object of the same name, if there is one.
   */
  readonly transform?: (object: T, before: T | undefined) => T;
  /**
   * Objects for which the function returns false are not stored, as if they did not exist. If absent, all objects are
   * stored.
   */
  readonly keep?: (object: T) => boolean;
  /** True: stored objects are deep-frozen. For tests. */
  readonly freeze?: boolean;
  /** A random number in [0, 1), for jitter. */
  readonly random?: () => number;
  readonly limits?: Partial<ReflectorLimits>;
};

export type ReflectorLimits = {
  readonly pageSize: number;
  /**
   * A watch that receives nothing for this long counts as dead, because a server sends a bookmark about every minute.
   */
  readonly silenceMs: number;
  /**
   * The reflector asks the server to end each watch after a random time between this span and twice this span, so that
   * watches do not all restart at once.
   */
  readonly watchSeconds: number;
  readonly backoff: Backoff;
  /** A watch that ended sooner than this without an event counts as failed, even if the server reported no error. */
  readonly shortMs: number;
};

const defaultLimits: ReflectorLimits = {
  pageSize: 100,
  silenceMs: 120_000,
  watchSeconds: 300,
  backoff: { baseMs: 800, maxMs: 30_000 },
  shortMs: 1000,
};

/** How one round of listing (if needed) and watching ended. */
type End =
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'expired'; readonly error: unknown };

export class Reflector<T extends KubeObject> {
  readonly #deps: ReflectorDeps<T>;
  readonly #limits: ReflectorLimits;
  readonly #cache: Cache<T>;
  readonly #metrics: ReflectorMetrics;
  readonly #firstList = Promise.withResolvers<void>();
  /** The resourceVersion of the cache; undefined before the first list and when the version is lost. */
  #position: string | undefined;
  /** True after the continue token of a list expired: the next list asks for everything in one page. */
  #unpaged = false;
  #synced = false;
  #heardAt: number;
  #watchBegan = 0;
  /** Events and bookmarks received since the start. */
  #events = 0;

  constructor(deps: ReflectorDeps<T>) {
    this.#deps = deps;
    this.#limits = { ...defaultLimits, ...deps.limits };
    this.#heardAt = deps.clock.monotonic();
    const { type, clock, registry, indexes, freeze } = deps;
    this.#cache = new Cache({
      ...(indexes === undefined ? {} : { indexes }),
      ...(freeze === undefined ? {} : { freeze }),
      onFault: (where, error) => this.#onFault(where, error),
    });
    this.#metrics = new ReflectorMetrics({
      type,
      registry,
      size: () => this.#cache.size,
      silentMs: () => clock.monotonic() - this.#heardAt,
    });
  }

  get cache(): Lister<T> & Pick<Cache<T>, 'subscribe'> {
    return this.#cache;
  }

  /** True once the first list was read into the cache. It never becomes false again. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Milliseconds since the server last sent anything about this type. */
  get silentMs(): number {
    return this.#deps.clock.monotonic() - this.#heardAt;
  }

  /** Resolves once `synced` is true; never rejects. */
  whenSynced(): Promise<void> {
    return this.#firstList.promise;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let failures = 0;
    while (!signal.aborted) {
      const listed = this.#position === undefined;
      const eventsBefore = this.#events;
      const end = await this.#round(signal);
      if (signal.aborted) return;
      const quick = clock.monotonic() - this.#watchBegan < this.#limits.shortMs;
      const progress = this.#events > eventsBefore;
      failures = this.#failuresAfter(end, { failures, progress, quick, listed });
      const waitMs = Math.max(
        failures === 0 ? 0 : backoffMs(this.#limits.backoff, failures, (this.#deps.random ?? Math.random)()),
        pauseOf(end),
      );
      if (waitMs > 0) await clock.sleep(waitMs, signal);
    }
  }

  /** Lists if the resourceVersion is lost, then watches until the watch ends. */
  async #round(signal: AbortSignal): Promise<End> {
    try {
      this.#position ??= await this.#list(signal);
      await this.#watch(this.#position, signal);
      return { kind: 'closed' };
    } catch (error) {
      if (!isGone(error) && !isTooLargeVersion(error)) return { kind: 'failed', error };
      // The server no longer has our resourceVersion, or does not have it yet. It does not have the version yet after a
      // restore from a backup, or when a replica that lags behind answers.
      this.#position = undefined;
      return { kind: 'expired', error };
    }
  }

  #failuresAfter(end: End, round: { failures: number; progress: boolean; quick: boolean; listed: boolean }): number {
    const { type, logger } = this.#deps;
    const failures = round.progress ? 0 : round.failures;
    switch (end.kind) {
      case 'closed':
        return round.quick && !round.progress ? failures + 1 : 0;
      case 'expired':
        this.#metrics.failed('expired');
        logger.debug('watch position expired', { type: type.plural, why: messageOf(end.error) });
        // It is normal that a resourceVersion expires. When it expires right after a list, count a failure: without a
        // back-off the reflector would list repeatedly.
        return round.listed ? failures + 1 : failures;
      case 'failed':
        this.#metrics.failed('error');
        logger.warn('watch failed', { type: type.plural, failures: failures + 1, err: end.error });
        return failures + 1;
    }
  }

  /** Reads the whole collection page by page, replaces the cache, and returns the resourceVersion to watch from. */
  async #list(signal: AbortSignal): Promise<string> {
    this.#metrics.listed();
    const objects: T[] = [];
    let more: string | undefined;
    let position: string;
    do {
      const page = await this.#page(more, signal);
      for (const object of page.items) if (this.#isWanted(object)) objects.push(this.#kept(object));
      position = page.resourceVersion;
      more = page.continue;
    } while (more !== undefined);
    this.#unpaged = false;
    this.#cache.replace(objects);
    this.#heard();
    this.#synced = true;
    this.#firstList.resolve();
    return position;
  }

  async #page(
    more: string | undefined,
    signal: AbortSignal,
  ): Promise<{ items: readonly T[]; resourceVersion: string; continue?: string }> {
    const { client, type } = this.#deps;
    const limit = this.#unpaged ? {} : { limit: this.#limits.pageSize };
    try {
      return await client.list(
        type,
        { ...this.#selection(), ...limit, ...(more === undefined ? {} : { continue: more }) },
        { signal },
      );
    } catch (error) {
      // Storage was compacted between two pages; the next try reads everything in one page.
      if (more !== undefined && isGone(error)) this.#unpaged = true;
      throw error;
    }
  }

  async #watch(position: string, signal: AbortSignal): Promise<void> {
    const { client, type, clock } = this.#deps;
    this.#metrics.watched();
    const end = new AbortController();
    const offStop = onAbort(signal, () => end.abort(signal.reason));
    // Measure silence from the start of this watch, because the last list may have been long ago.
    let heardAt = clock.monotonic();
    this.#watchBegan = heardAt;
    let off = (): void => {};
    const listen = (): void => {
      const leftMs = heardAt + this.#limits.silenceMs - clock.monotonic();
      if (leftMs <= 0)
        end.abort(new AppError('KUBE_WATCH_SILENT', { type: type.plural, silentMs: this.#limits.silenceMs }));
      else off = clock.after(leftMs, listen);
    };
    listen();
    const timeoutSeconds = Math.round(this.#limits.watchSeconds * (1 + (this.#deps.random ?? Math.random)()));
    try {
      for await (const event of client.watch(
        type,
        { ...this.#selection(), resourceVersion: position, timeoutSeconds },
        end.signal,
      )) {
        if (end.signal.aborted) break;
        heardAt = clock.monotonic();
        this.#take(event);
      }
    } finally {
      off();
      offStop();
    }
    // Some clients end the iteration without an error when the signal is aborted. Throw here, so that a silent watch
    // always counts as a failure.
    if (end.signal.aborted) throw end.signal.reason;
  }

  #take(event: WatchEvent<T>): void {
    this.#heard();
    this.#events += 1;
    switch (event.type) {
      case 'BOOKMARK':
        this.#position = event.resourceVersion;
        return;
      case 'DELETED':
        this.#cache.remove(event.object);
        break;
      case 'ADDED':
      case 'MODIFIED':
        // A change of labels can make an object unwanted.
        if (this.#isWanted(event.object)) this.#cache.put(this.#kept(event.object));
        else this.#cache.remove(event.object);
        break;
    }
    this.#metrics.told(event.type);
    this.#position = event.object.metadata.resourceVersion ?? this.#position;
  }

  #isWanted(object: T): boolean {
    return this.#deps.keep?.(object) ?? true;
  }

  #kept(object: T): T {
    try {
      return (this.#deps.transform ?? dropManagedFields)(object, this.#cache.get(keyOf(object.metadata)));
    } catch (error) {
      // Keep the whole object when the transform fails. Otherwise the object would be missing from the cache, or every
      // watch would fail at this object.
      this.#onFault('transform', error);
      return object;
    }
  }

  #onFault(where: string, err: unknown): void {
    this.#metrics.fault();
    this.#deps.logger.error('cache handler threw', { type: this.#deps.type.plural, where, err });
  }

  #heard(): void {
    this.#heardAt = this.#deps.clock.monotonic();
  }

  #selection(): { namespace?: string; labelSelector?: string; fieldSelector?: string } {
    const { namespace, labelSelector, fieldSelector } = this.#deps;
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }
}

/** Drops metadata.managedFields, because it is often half of an object's size and the operator does not read it. */
export function dropManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** The wait that the server asked for, in milliseconds. */
function pauseOf(end: End): number {
  return end.kind === 'closed' ? 0 : (statusOf(end.error)?.afterMs ?? 0);
}
