/**
 * Model + decision → every object that should exist.
 *
 * Owns:  the list and its order: a revision's record and config before its pods, what moves traffic last, so
 *        that an apply that fails half-way has moved none.
 * Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { stableOf, type Decision, type Revision } from '../rollout/state.ts';
import { deployment } from './deployment.ts';
import type { Manifest, RevisionRecord } from './objects.ts';
import { configMap, controllerRevision } from './revisions.ts';
import { httpRoute } from './route.ts';
import { entryService, revisionService } from './services.ts';

/**
 * @param records what is known of the revisions that the decision runs; one that is missing (its
 *        ControllerRevision was deleted by somebody) gets no manifests, and apply.ts leaves its children alone
 */
export function desiredState(
  model: OnnxModel,
  decision: Decision,
  records: ReadonlyMap<Revision, RevisionRecord>,
): readonly Manifest[] {
  const children = decision.run.flatMap(({ revision, replicas }) => {
    const record = records.get(revision);
    if (record === undefined) return [];
    return [
      controllerRevision(model, record),
      configMap(model, record),
      revisionService(model, revision),
      deployment(model, record, replicas),
    ];
  });
  return [...children, ...routing(model, decision, records)];
}

/**
 * With a route the entry Service is for who does not come through the gateway: those get the revision that is proven.
 */
function routing(
  model: OnnxModel,
  { next, serve, canary, run }: Decision,
  records: ReadonlyMap<Revision, RevisionRecord>,
): readonly Manifest[] {
  if (serve === null) return [];
  if (model.spec.traffic?.router !== 'HTTPRoute')
    return [entryService(model, canary === undefined ? serve : { kind: 'Shared' }, stableOf(next))];
  const reachable = run.map(({ revision }) => revision).filter((revision) => records.has(revision));
  return [
    entryService(model, serve, stableOf(next)),
    httpRoute(model, canary === undefined ? { serve } : { serve, canary }, reachable),
  ];
}
