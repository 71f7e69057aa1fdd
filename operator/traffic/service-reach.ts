/**
 * Which pods a Service really sends requests to, by its selector and ports as they are, whoever wrote them last.
 *
 * Pure. The EndpointSlices would say the same a moment later; the operator needs no right to read those.
 */
import { labels, ports } from '../../api/names.ts';
import { isReady, type Pod, type Service } from '../../kube/kinds.ts';
import type { Revision } from '../rollout/state.ts';

/** Keys that the operator selects by; their values are judged where they are read. */
const ownKeys: ReadonlySet<string> = new Set([labels.model, labels.revision, labels.serving]);

/** Why requests to the Service's port reach no pod's runtime, whatever it selects; undefined: they do. */
export function portProblem({ metadata, spec }: Service): string | undefined {
  if (spec?.type === 'ExternalName') return `Service ${metadata.name} has type ExternalName: it sends nothing to pods`;
  const given = spec?.ports;
  if (given === undefined) return undefined;
  const found = given.find(({ port, protocol = 'TCP' }) => port === ports.runtime && protocol === 'TCP');
  if (found === undefined) return `Service ${metadata.name} has no port ${ports.runtime}`;
  const target = found.targetPort ?? found.port;
  return target === ports.runtime || target === 'http'
    ? undefined
    : `port ${ports.runtime} of Service ${metadata.name} leads to port ${target} of the pods, where nothing listens`;
}

/** Whether the selector is one that the operator writes: no key more, and this model's. */
export function isOwnSelector(selector: Readonly<Record<string, string>>, model: string): boolean {
  return (
    selector[labels.model] === model &&
    Object.keys(selector).every((key) => ownKeys.has(key)) &&
    (labels.revision in selector || labels.serving in selector)
  );
}

/** Ready pods that the selector takes, by revision; revisions with none are left out. */
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

/** `team=x`: what others ask of the pods. */
export function selectorText(selector: Readonly<Record<string, string>>): string {
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}
