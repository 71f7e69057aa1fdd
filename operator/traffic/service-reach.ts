/**
 * The pods that a Service sends requests to. They are computed from the live selector and ports, even if another client
 * wrote them.
 *
 * Pure. EndpointSlices would show the same pods a moment later, but the operator does not have the permission to read
 * them.
 */
import { labels, ports } from '../../api/names.ts';
import { isReady, type Pod, type Service } from '../../kube/kinds.ts';
import type { Revision } from '../rollout/state.ts';

/** Label keys that the operator uses in selectors. */
const ownKeys: ReadonlySet<string> = new Set([labels.model, labels.revision, labels.serving]);

/** Why requests to the Service's port cannot reach a runtime in any pod. Undefined if the ports lead to the runtime. */
export function portProblem({ metadata, spec }: Service): string | undefined {
  if (spec?.type === 'ExternalName')
    return `Service ${metadata.name} has type ExternalName, so no request reaches a pod`;
  const given = spec?.ports;
  if (given === undefined) return undefined;
  const found = given.find(({ port, protocol = 'TCP' }) => port === ports.runtime && protocol === 'TCP');
  if (found === undefined) return `Service ${metadata.name} has no port ${ports.runtime}`;
  const target = found.targetPort ?? found.port;
  return target === ports.runtime || target === 'http'
    ? undefined
    : `port ${ports.runtime} of Service ${metadata.name} leads to port ${target} of the pods, where no process listens`;
}

/**
 * Whether the operator could have written the selector: it names this model and contains only label keys of the
 * operator.
 */
export function isOwnSelector(selector: Readonly<Record<string, string>>, model: string): boolean {
  return (
    selector[labels.model] === model &&
    Object.keys(selector).every((key) => ownKeys.has(key)) &&
    (labels.revision in selector || labels.serving in selector)
  );
}

/** The number of ready pods that the selector matches, by revision; revisions without such a pod are left out. */
export function selectedPods(
  selector: Readonly<Record<string, string>>,
  pods: ReadonlyMap<Revision, readonly Pod[]>,
): ReadonlyMap<Revision, number> {
  const takes = (pod: Pod): boolean =>
    isReady(pod) && Object.entries(selector).every(([key, value]) => pod.metadata.labels?.[key] === value);
  return new Map(
    [...pods]
      .map(([revision, those]) => [revision, those.filter(takes).length] as const)
      .filter(([, count]) => count > 0),
  );
}

/** A selector as kubectl writes it: `team=x, tier=y`. */
export function selectorText(selector: Readonly<Record<string, string>>): string {
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}
