/**
 * Leader election on a Lease with the same fields as client-go, so that only one of several replicas works.
 * Terms: A claim is the content of the Lease that its holder wrote. A term is the time during which this process leads.
 * A pass is one run of the work that only the leader does.
 * Owns: holding and renewing the Lease. `isCurrent` compares times, so a suspended process knows at once that its lease
 * is over.
 * Rule: the age of another replica's claim is the time on our clock since we saw the claim change. We stop after
 * `renewDeadlineMs`, well before others may take over (`leaseMs`). Passes in progress end between these two moments.
 */
import { AppError, messageOf } from '../../api/errors.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { gauge, type Gauge, type Registry } from '../../lib/metrics.ts';
import { retryErrors } from '../../lib/retry.ts';
import type { KubeClient } from '../client/kube-client.ts';
import { isConflict, isNotFound } from '../client/kube-error.ts';
import { microTime } from '../events/micro-time.ts';
import type { ObjectName } from '../../api/kube-object.ts';
import { leases, LeaseSighting, readLease, type Lease, type LeaseSpec } from './lease.ts';

export type LeaderDeps = {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly lease: Required<ObjectName>;
  /** Unique to this process: the pod's name and a random part. */
  readonly identity: string;
  readonly leaseMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryMs?: number;
  /** A random number in [0, 1), for jitter. */
  readonly random?: () => number;
};

/** The time during which this process is the leader. */
export interface Term {
  /**
   * Aborted, with the reason, when the Lease could not be renewed in time or another replica took it. `release` does
   * not abort it.
   */
  readonly lost: AbortSignal;
  /** Whether the Lease is ours at this moment, by the clock. False as soon as the term is lost or released. */
  isCurrent(): boolean;
  /**
   * Stops renewing, and releases the Lease if this process still holds it. Call it after all work has ended. Never
   * rejects.
   */
  release(): Promise<void>;
}

export class LeaderElector {
  readonly #deps: LeaderDeps;
  readonly #leaseMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryMs: number;
  readonly #status: Gauge<'name'>;
  readonly #seen: LeaseSighting;
  /** Monotonic time at which the last successful claim was sent. */
  #renewedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: LeaderDeps) {
    this.#deps = deps;
    this.#leaseMs = deps.leaseMs ?? 15_000;
    this.#renewDeadlineMs = deps.renewDeadlineMs ?? 10_000;
    this.#retryMs = deps.retryMs ?? 2000;
    this.#seen = new LeaseSighting(deps.clock, this.#leaseMs);
    if (this.#renewDeadlineMs >= this.#leaseMs || this.#retryMs * 1.2 >= this.#renewDeadlineMs) {
      throw new AppError('BAD_CONFIG', {
        where: 'leader election',
        problem:
          `needs retry x 1.2 < renew deadline < lease, got ${this.#retryMs}, ${this.#renewDeadlineMs}, ` +
          `${this.#leaseMs} ms`,
      });
    }
    this.#status = gauge(deps.registry, {
      name: 'leader_election_master_status',
      help: 'Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.',
      labels: ['name'],
    });
    this.#status.set({ name: deps.lease.name }, 0);
  }

  /** Tries until this process is the leader (returns a Term) or the signal is aborted (returns undefined). */
  async campaign(signal: AbortSignal): Promise<Term | undefined> {
    const { clock, logger, lease, identity } = this.#deps;
    while (!signal.aborted) {
      if ((await this.#claim(signal, this.#renewDeadlineMs)) === 'ours') {
        if (!signal.aborted) logger.info('became leader', { lease: lease.name, identity });
        return this.#lead();
      }
      await clock.sleep(this.#jittered(), signal);
    }
    return undefined;
  }

  #lead(): Term {
    const { clock, logger, lease } = this.#deps;
    const lost = new AbortController();
    const ended = new AbortController();
    this.#status.set({ name: lease.name }, 1);
    const end = (): void => {
      ended.abort();
      this.#status.set({ name: lease.name }, 0);
    };
    const lose = (why: string): void => {
      if (ended.signal.aborted) return;
      end();
      logger.error('leadership lost', { lease: lease.name, why });
      lost.abort(new Error(`leadership lost: ${why}`));
    };
    const renewing = this.#renew(ended.signal, lose);
    return {
      lost: lost.signal,
      isCurrent: () => !ended.signal.aborted && clock.monotonic() - this.#renewedAt < this.#renewDeadlineMs,
      release: async () => {
        const ours = !ended.signal.aborted;
        end();
        await renewing;
        if (ours) await this.#giveUp();
      },
    };
  }

  /**
   * Renews every `retryMs` until the term ends. A separate deadline ends the term, so that a hanging request does not
   * delay the end.
   */
  async #renew(ended: AbortSignal, lose: (why: string) => void): Promise<void> {
    const { clock } = this.#deps;
    let off = (): void => {};
    const watchTime = (): void => {
      const leftMs = this.#renewedAt + this.#renewDeadlineMs - clock.monotonic();
      if (leftMs <= 0) lose(`not renewed for ${this.#renewDeadlineMs} ms`);
      else off = clock.after(leftMs, watchTime);
    };
    watchTime();
    while (!ended.aborted) {
      await clock.sleep(this.#retryMs, ended);
      if (ended.aborted) break;
      // A request may take half of the remaining time. If it hangs, there is time for another request.
      const leftMs = this.#renewedAt + this.#renewDeadlineMs - clock.monotonic();
      const claim = await this.#keep(ended, Math.max(1000, leftMs / 2));
      if (claim === 'other') lose(`${this.#seen.holder} holds the lease`);
    }
    off();
  }

  /** Renews the Lease with one request. Reads the Lease first only when another writer changed it. */
  async #keep(signal: AbortSignal, deadlineMs: number): Promise<'ours' | 'other' | 'unknown'> {
    const held = this.#seen.lease;
    if (held === undefined) return this.#claim(signal, deadlineMs);
    const sentAt = this.#deps.clock.monotonic();
    try {
      this.#own(await this.#deps.client.replace(leases, this.#claimed(held), { signal, deadlineMs }), sentAt);
      return 'ours';
    } catch (error) {
      return isConflict(error) || isNotFound(error) ? this.#claim(signal, deadlineMs) : 'unknown';
    }
  }

  /** Tries once to take the Lease: reads the Lease, and writes it when it is free or ours. */
  async #claim(signal: AbortSignal, deadlineMs: number): Promise<'ours' | 'other' | 'unknown'> {
    const { client, clock, lease, identity, logger } = this.#deps;
    const call = { signal, deadlineMs };
    try {
      const found = await this.#read(call);
      const sentAt = clock.monotonic();
      if (found === undefined) {
        this.#own(
          await client.create(
            leases,
            this.#claimed({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: lease }),
            call,
          ),
          sentAt,
        );
        return 'ours';
      }
      if (this.#seen.holder !== identity && !this.#seen.isFree()) return 'other';
      // The write has the resourceVersion that was just read, so when two replicas try at once, one gets a conflict.
      this.#own(await client.replace(leases, this.#claimed(found), call), sentAt);
      return 'ours';
    } catch (error) {
      if (!signal.aborted) logger.debug('lease not claimed', { lease: lease.name, identity, why: messageOf(error) });
      return 'unknown';
    }
  }

  async #read(call: { readonly signal: AbortSignal; readonly deadlineMs: number }): Promise<Lease | undefined> {
    const { client, lease, logger } = this.#deps;
    const found = await readLease(client, lease, call);
    if (found === undefined) return undefined;
    const before = this.#seen.holder;
    this.#seen.sight(found);
    const { holder } = this.#seen;
    if (holder !== '' && holder !== before) logger.info('leader changed', { lease: lease.name, holder });
    return found;
  }

  #claimed(lease: Lease): Lease {
    const { clock, identity } = this.#deps;
    const now = microTime(clock.now());
    const before = lease.spec ?? {};
    const mine = before.holderIdentity === identity;
    const spec: LeaseSpec = {
      ...before,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseMs / 1000),
      renewTime: now,
      acquireTime: mine ? (before.acquireTime ?? now) : now,
      leaseTransitions: (before.leaseTransitions ?? 0) + (mine || before.holderIdentity === undefined ? 0 : 1),
    };
    return { ...lease, spec };
  }

  /**
   * @param sentAt the time before the request was sent, so that our lease never ends later than other replicas assume
   */
  #own(lease: Lease, sentAt: number): void {
    this.#seen.wrote(lease, sentAt);
    this.#renewedAt = sentAt;
  }

  /** Writes an empty holder and a lease of one second, so that the next replica that tries gets the Lease. */
  async #giveUp(): Promise<void> {
    const { clock, logger, lease } = this.#deps;
    // Retry a conflict: a renewal that we cancelled may still reach the server between our read and our write.
    const pauseAfter = (error: unknown, attempt: number): number | undefined =>
      isConflict(error) && attempt < 3 ? 0 : undefined;
    try {
      await retryErrors(() => this.#empty(microTime(clock.now())), { clock, pauseAfter });
      logger.info('leadership released', { lease: lease.name });
    } catch (error) {
      logger.warn('leadership was not released; the lease expires by itself', { lease: lease.name, err: error });
    }
  }

  async #empty(now: string): Promise<void> {
    const { client, identity, lease } = this.#deps;
    const held = await client.get(leases, lease, { deadlineMs: 3000 });
    if (held.spec?.holderIdentity !== identity) return;
    const spec = { ...held.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: now, acquireTime: now };
    await client.replace(leases, { ...held, spec }, { deadlineMs: 3000 });
  }

  #jittered(): number {
    return this.#retryMs * (1 + 0.2 * (this.#deps.random ?? Math.random)());
  }
}
