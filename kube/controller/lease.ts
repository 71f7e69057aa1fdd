/**
 * A Lease of Kubernetes, and when it is free by our own clock.
 * Owns: the fields that client-go writes, and the time at which a claim was last seen to change.
 * Rule: the times in a Lease are those of its holder's clock and are never compared with ours.
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

/** @returns undefined when there is no such Lease */
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

  /** Empty without a holder. */
  get holder(): string {
    return this.#lease?.spec?.holderIdentity ?? '';
  }

  /** Records a Lease that was read. Its age counts from when the claim changed, not from when it was read. */
  sight(found: Lease): void {
    const isSame = this.#lease !== undefined && JSON.stringify(this.#lease.spec) === JSON.stringify(found.spec);
    this.#lease = found;
    if (!isSame) this.#changedAt = this.#clock.monotonic();
  }

  /**
   * Records our own write.
   *
   * @param sentAt taken before the request, so that our claim never ends later than others assume
   */
  wrote(lease: Lease, sentAt: number): void {
    this.#lease = lease;
    this.#changedAt = sentAt;
  }

  /** True when the Lease has no holder, or was not renewed within the time that its holder promised. */
  isFree(): boolean {
    if (this.#lease === undefined || this.holder === '') return true;
    const seconds = this.#lease.spec?.leaseDurationSeconds;
    return this.#clock.monotonic() - this.#changedAt >= (seconds === undefined ? this.#leaseMs : seconds * 1000);
  }
}
