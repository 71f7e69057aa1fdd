/**
 * The Services of a model: the entry that clients call, and one for each revision.
 *
 * Pure. At rest the entry Service selects by the revision label of the pod template, so that replaced pods
 * serve even while the operator is down.
 */
import { childName, ports } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Revision } from '../rollout/state.ts';
import { childMeta, selectorOf, type Manifest } from './objects.ts';

/** Named as the model. @param serve the revision that gets the traffic */
export function entryService(model: OnnxModel, serve: Revision): Manifest {
  return service(childMeta(model, model.metadata.name), selectorOf(model.metadata.name, serve));
}

/** Named as the revision's other children: for looking at one revision, whoever serves. */
export function revisionService(model: OnnxModel, revision: Revision): Manifest {
  return service(childMeta(model, childName(model.metadata.name, revision), revision), selectorOf(model.metadata.name, revision));
}

function service(metadata: Manifest['metadata'], selector: Readonly<Record<string, string>>): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: { type: 'ClusterIP', selector, ports: [{ name: 'http', port: ports.runtime, targetPort: ports.runtime, protocol: 'TCP' }] },
  };
}
