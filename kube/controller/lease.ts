/**
 * A Lease of Kubernetes, and whether the Lease is free by our own clock.
 * Owns: the fields that client-go writes, and the time at which a claim (the content of the Lease that its holder
 * wrote) was last seen to change.
 * Rule: the times in a Lease are from its holder's clock. They are never compared with our clock.
 */
import type { KubeObject, ObjectName } from '../../api/kube-object.ts';
import type { Clock } from '../../lib/clock.ts';
import type { CallOptions, KubeClient } from '../client/kube-client.ts';
import { isNotFound } from '../client/kube-error.ts';
import type { ResourceType } from '../client/resource-type.ts';

export type LeaseSpec = {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
};
export type Lease = KubeObject & { readonly spec?: LeaseSpec };

export const leases: ResourceType<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};

/** @returns undefined when the Lease does not exist */
export async function readLease(client: KubeClient, name: ObjectName, call: CallOptions): Promise<Lease | undefined> {
  try {
    return await client.get(leases, name, call);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** What one process knows of one Lease. */
export class LeaseSighting {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #lease: Lease | undefined;
  /** When the claim last changed, by our clock. */
  #changedAt = Number.NEGATIVE_INFINITY;

  /** @param leaseMs how long a claim without a duration lasts */
  constructor(clock: Clock, leaseMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** The Lease as last read or written. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  /** The identity of the holder; empty when the Lease has no holder. */
  get holder(): string {
    return this.#lease?.spec?.holderIdentity ?? '';
  }

  /**
   * Records a Lease that was read. The age of a claim counts from the first read that showed the claim; later reads of
   * the same claim do not change it.
   */
  sight(found: Lease): void {
    const isSame = this.#lease !== undefined && JSON.stringify(this.#lease.spec) === JSON.stringify(found.spec);
    this.#lease = found;
    if (!isSame) this.#changedAt = this.#clock.monotonic();
  }

  /**
   * Records our own write.
   *
   * @param sentAt the time before the request was sent, so that our claim never ends later than other replicas assume
   */
  wrote(lease: Lease, sentAt: number): void {
    this.#lease = lease;
    this.#changedAt = sentAt;
  }

  /** True when the Lease has no holder, or the holder has not renewed it for the duration in the Lease. */
  isFree(): boolean {
    if (this.#lease === undefined || this.holder === '') return true;
    const seconds = this.#lease.spec?.leaseDurationSeconds;
    return this.#clock.monotonic() - this.#changedAt >= (seconds === undefined ? this.#leaseMs : seconds * 1000);
  }
}
