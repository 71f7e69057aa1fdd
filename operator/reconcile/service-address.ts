/**
 * The cluster IP of a stored Service. The field is immutable, so the operator keeps the value that a Service has, or
 * deletes the Service and makes it again.
 * Owns: whether the Service keeps its field or is made again.
 * Pure.
 */
import type { KubeObject } from '../../api/kube-object.ts';
import { recordOf } from '../../lib/json.ts';
import { headless } from '../resources/services.ts';
import type { Manifest } from '../resources/objects.ts';

/**
 * The manifest without `clusterIP: None` if the stored Service has a cluster IP, because the field is immutable. The
 * Service has a cluster IP if an earlier version of the operator made it, or if the model had a route then.
 */
export function withStoredAddress(manifest: Manifest, stored: KubeObject | undefined): Manifest {
  const { clusterIP: wanted, ...spec } = recordOf(manifest['spec']);
  if (manifest.kind !== 'Service' || wanted !== headless) return manifest;
  const { clusterIP = headless } = recordOf(recordOf(stored)['spec']);
  return clusterIP === headless ? manifest : { ...manifest, spec };
}

/**
 * Whether the stored Service is headless, but a route needs its cluster IP. Only a new Service can get a cluster IP.
 */
export function lacksAddress(manifest: Manifest, stored: KubeObject | undefined): boolean {
  return (
    manifest.kind === 'Service' &&
    recordOf(manifest['spec'])['clusterIP'] === undefined &&
    recordOf(recordOf(stored)['spec'])['clusterIP'] === headless
  );
}
