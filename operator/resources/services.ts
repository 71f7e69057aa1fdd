/**
 * The Services of a model: the entry that clients call, and one for each revision.
 *
 * Pure. At rest the entry Service selects by the revision label of the pod template, so that replaced pods
 * serve even while the operator is down. While two revisions share its traffic it selects by a label that the
 * operator sets on their ready pods (operator/reconcile/serving-pods.ts).
 */
import { annotations, childName, labels, ports } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Revision } from '../rollout/state.ts';
import { childMeta, selectorOf, type Manifest } from './objects.ts';

/** Value of the serving label. */
export const servingValue = 'true';

/**
 * Named as the model.
 *
 * @param serve the revision that gets the traffic; `Shared`: whichever pods carry the serving label
 * @param stable noted where the selector does not say it: so that it is known even after the status was lost
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
 * Named as the revision's other children: for looking at one revision, whoever serves, and what a route sends its share
 * to.
 */
export function revisionService(model: OnnxModel, revision: Revision): Manifest {
  return service(
    childMeta(model, childName(model.metadata.name, revision), revision),
    selectorOf(model.metadata.name, revision),
  );
}

function service(metadata: Manifest['metadata'], selector: Readonly<Record<string, string>>): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      type: 'ClusterIP',
      selector,
      ports: [{ name: 'http', port: ports.runtime, targetPort: ports.runtime, protocol: 'TCP' }],
      // Kubernetes' own defaults, said so that a change of them is put back: each decides which pod gets a request.
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      publishNotReadyAddresses: false,
    },
  };
}
