/**
 * Router Service: each ready pod behind the entry Service, which clients call, gets an equal part of the traffic, so
 * the numbers of pods determine the shares of the revisions.
 *
 * Owns: the selector of the entry Service, and the shares. Shares are counted from the ready pods that the live
 * selector and ports of the entry Service reach. operator/reconcile/serving-pods.ts sets the serving label of pods.
 * Pure.
 */
import { labels, ports } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { isReady, type Pod, type Service } from '../../kube/kinds.ts';
import { entryService, servingValue } from '../resources/services.ts';
import { stableOf, type Revision } from '../rollout/state.ts';
import type { AddressSources, TrafficRouter, TrafficFacts, TrafficSources } from './port.ts';
import { isOwnSelector, portProblem, selectedPods, selectorText } from './service-reach.ts';

export const byPods: TrafficRouter = {
  subject: 'the entry Service',
  kinds: [],
  revisionAddress: 'None',
  isWritable: () => true,
  manifests: (model, { next, serve, canary }) => [
    entryService(model, canary === undefined ? serve : { kind: 'Shared' }, stableOf(next)),
  ],
  marked: ({ serve, canary }) => (serve === null || canary === undefined ? [] : [serve, canary.revision]),
  shares,
  outage: (traffic) =>
    traffic?.shares === undefined ? (traffic?.problem ?? 'the entry Service does not exist yet') : undefined,
  url: entryUrl,
};

function shares({ model, entry, pods }: TrafficSources): TrafficFacts | undefined {
  const selector = entry?.spec?.selector;
  if (selector === undefined) return undefined;
  const problem = portProblem(entry as Service);
  if (problem !== undefined) return { shares: undefined, reason: 'RouteMoving', problem };
  if (!isOwnSelector(selector, model.metadata.name)) {
    return sharesAmong(
      selectedPods(selector, pods),
      `Service ${model.metadata.name} selects pods by ${selectorText(selector)}: no ready pod of the model has ` +
        'these labels',
    );
  }
  const revision = selector[labels.revision];
  if (revision !== undefined && !(labels.serving in selector)) return { shares: { [revision]: 100 } };
  const marked = new Map(
    [...pods].map(([name, those]) => [name, those.filter(servesNow).length] as const).filter(([, count]) => count > 0),
  );
  return sharesAmong(marked, 'no ready pod has the serving label');
}

/** @param problem the problem to report when no pod is counted */
function sharesAmong(counts: ReadonlyMap<Revision, number>, problem: string): TrafficFacts {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return { shares: undefined, reason: 'RouteMoving', problem };
  return { shares: Object.fromEntries([...counts].map(([name, count]) => [name, (100 * count) / total])) };
}

export function isMarked(pod: Pod): boolean {
  return pod.metadata.labels?.[labels.serving] === servingValue;
}

function servesNow(pod: Pod): boolean {
  return isMarked(pod) && isReady(pod);
}

/** The URL of the entry Service: by DNS name in a cluster, by IP address in local mode. */
function entryUrl({ metadata: { name, namespace } }: OnnxModel, { entry, style }: AddressSources): string | undefined {
  if (style === 'DNS') return `http://${name}.${namespace}.svc:${ports.runtime}`;
  const clusterIp = entry?.spec?.clusterIP ?? '';
  return clusterIp === '' ? undefined : `http://${clusterIp}:${ports.runtime}`;
}
