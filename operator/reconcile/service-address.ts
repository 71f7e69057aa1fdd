/**
 * The cluster IP of a stored Service. The field is immutable, so the operator keeps what a Service has, or makes the
 * Service again.
 * Owns: which of the two.
 * Pure.
 */
import type { KubeObject } from '../../api/kube-object.ts';
import { recordOf } from '../../lib/json.ts';
import { headless } from '../resources/services.ts';
import type { Manifest } from '../resources/objects.ts';

/**
 * The manifest without `clusterIP: None` if the stored Service has a cluster IP, because the field is immutable: an
 * earlier version of the operator made the Service, or the model had a route then.
 */
export function withStoredAddress(manifest: Manifest, stored: KubeObject | undefined): Manifest {
  const { clusterIP: wanted, ...spec } = recordOf(manifest['spec']);
  if (manifest.kind !== 'Service' || wanted !== headless) return manifest;
  const { clusterIP = headless } = recordOf(recordOf(stored)['spec']);
  return clusterIP === headless ? manifest : { ...manifest, spec };
}

/** Whether the Service is headless, but a route needs its cluster IP. Only a new Service gets one. */
export function lacksAddress(manifest: Manifest, stored: KubeObject | undefined): boolean {
  return (
    manifest.kind === 'Service' &&
    recordOf(manifest['spec'])['clusterIP'] === undefined &&
    recordOf(recordOf(stored)['spec'])['clusterIP'] === headless
  );
}
