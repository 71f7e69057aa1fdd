/**
 * The Services of a model: the entry Service that clients call, and one for each revision.
 *
 * At rest the entry Service selects pods by the revision label of the pod template, so that replacement pods serve even
 * while the operator is down. While two revisions share the traffic, it selects the serving label, which the operator
 * sets on ready pods (operator/reconcile/serving-pods.ts).
 * Pure.
 */
import { annotations, childName, labels, ports } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Revision } from '../rollout/state.ts';
import { childMeta, selectorOf, type Manifest } from './objects.ts';

/** The value of `clusterIP` of a Service without a cluster IP. */
export const headless = 'None';

/** Value of the serving label. */
export const servingValue = 'true';

/**
 * The entry Service, which has the name of the model.
 *
 * @param serve the revision that gets the traffic; `Shared` if the pods with the serving label get it
 * @param stable stored as an annotation unless the selector contains it, so that stable is known if the status is lost
 */
export function entryService(
  model: OnnxModel,
  serve: Revision | { readonly kind: 'Shared' },
  stable: Revision | null = null,
): Manifest {
  const { name } = model.metadata;
  const metadata =
    stable === null || stable === serve
      ? childMeta(model, name)
      : { ...childMeta(model, name), annotations: { [annotations.stable]: stable } };
  return service(
    metadata,
    typeof serve === 'string' ? selectorOf(name, serve) : { ...selectorOf(name), [labels.serving]: servingValue },
  );
}

/**
 * Whether the Services of revisions have a cluster IP. `None`: a headless Service, whose DNS name gives the addresses
 * of the pods.
 */
export type RevisionAddress = 'ClusterIP' | 'None';

/**
 * The Service of one revision, a backend of the HTTPRoute. It also lets users call one revision directly. Without a
 * route it is headless: allocating a cluster IP costs the API server twice as much as the rest of the creation.
 */
export function revisionService(model: OnnxModel, revision: Revision, address: RevisionAddress): Manifest {
  return service(
    childMeta(model, childName(model.metadata.name, revision), revision),
    selectorOf(model.metadata.name, revision),
    address === 'None' ? { clusterIP: headless } : {},
  );
}

function service(
  metadata: Manifest['metadata'],
  selector: Readonly<Record<string, string>>,
  address: { readonly clusterIP?: string } = {},
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      type: 'ClusterIP',
      ...address,
      selector,
      ports: [{ name: 'http', port: ports.runtime, targetPort: ports.runtime, protocol: 'TCP' }],
      // Kubernetes' defaults for the fields that decide which pod gets a request. They are explicit, so that changes
      // are reverted.
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      publishNotReadyAddresses: false,
    },
  };
}
