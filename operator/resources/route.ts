/**
 * The HTTPRoute of a model, with exact weights (gateway.networking.k8s.io/v1).
 *
 * The route has one rule without matches. Every revision with a Service is a backend, even with weight 0, so that the
 * gateway knows the revision's endpoints before the revision gets its first request. The route sets no timeouts and no
 * retries, because a gateway that retries hides a candidate's errors from the gates.
 * Pure.
 */
import { childName, ports } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Decision, Revision } from '../rollout/state.ts';
import { childMeta, type Manifest } from './objects.ts';

export const routeApiVersion = 'gateway.networking.k8s.io/v1';

/**
 * @param serve the revision that gets all the traffic except the canary's share
 * @param reachable revisions that have a Service
 */
export function httpRoute(
  model: OnnxModel,
  { serve, canary }: { readonly serve: Revision } & Pick<Decision, 'canary'>,
  reachable: readonly Revision[],
): Manifest {
  const { parentRefs = [], hostnames } = model.spec.traffic ?? {};
  const weightOf = (revision: Revision): number => {
    if (revision === canary?.revision) return canary.weight;
    return revision === serve ? 100 - (canary?.weight ?? 0) : 0;
  };
  const revisions = [...new Set([serve, ...(canary === undefined ? [] : [canary.revision]), ...reachable])];
  const backendRefs = revisions.map((revision) => ({
    name: childName(model.metadata.name, revision),
    port: ports.runtime,
    weight: weightOf(revision),
  }));
  return {
    apiVersion: routeApiVersion,
    kind: 'HTTPRoute',
    metadata: childMeta(model, model.metadata.name),
    spec: { parentRefs, ...(hostnames === undefined ? {} : { hostnames }), rules: [{ backendRefs }] },
  };
}
