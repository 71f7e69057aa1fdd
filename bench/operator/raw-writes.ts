/**
 * Two writes that kubelets and Kubernetes' controllers make, but that the operator's client does not offer: a merge
 * patch of a status, and a deletion without a grace period.
 */
import { systemClock } from '../../lib/clock.ts';
import { createRegistry } from '../../lib/metrics.ts';
import type { ClusterAccess } from '../../kube/client/access.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import type { ObjectName } from '../../api/kube-object.ts';
import { objectPath, type ResourceType } from '../../kube/client/resource-type.ts';
import { Transport } from '../../kube/client/transport.ts';

export class RawWrites {
  readonly #transport: Transport;

  constructor(access: ClusterAccess) {
    this.#transport = new Transport({ access, clock: systemClock, registry: createRegistry(), userAgent: 'bench' });
  }

  /** Patches the status of an object. Does nothing when the object was deleted in the meantime. */
  async patchStatus(type: ResourceType, name: ObjectName, status: object): Promise<void> {
    await unlessGone(
      this.#transport.request({
        method: 'PATCH',
        path: objectPath(type, name, 'status'),
        contentType: 'application/merge-patch+json',
        body: { status },
      }),
    );
  }

  async deleteNow(type: ResourceType, name: ObjectName): Promise<void> {
    await unlessGone(
      this.#transport.request({
        method: 'DELETE',
        path: objectPath(type, name),
        body: { apiVersion: 'v1', kind: 'DeleteOptions', gracePeriodSeconds: 0 },
      }),
    );
  }

  close(): Promise<void> {
    return this.#transport.close();
  }
}

async function unlessGone(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}
