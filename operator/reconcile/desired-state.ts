/**
 * Builds all objects that should exist for a model after the decision of a pass.
 *
 * Terms: A record is what the operator stores of a revision in a ControllerRevision: its spec, and what its first pod
 * found.
 * Owns: the order of the objects. A revision's record and config come before its pods. Objects that move traffic come
 * last, so that traffic does not move if an earlier apply fails.
 * Pure.
 */
import { present } from '../../api/present.ts';
import { routerOf } from '../traffic/router.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Decision, Revision } from '../rollout/state.ts';
import { deployment } from '../resources/deployment.ts';
import type { Manifest, RevisionRecord } from '../resources/objects.ts';
import { configMap, controllerRevision } from '../resources/revisions.ts';
import { revisionService } from '../resources/services.ts';

/**
 * @param records the records of the revisions that run. A revision whose ControllerRevision was deleted does not have a
 *   record, so it gets no manifests; apply.ts does not change or delete its existing objects
 */
export function desiredState(
  model: OnnxModel,
  decision: Decision,
  records: ReadonlyMap<Revision, RevisionRecord>,
): readonly Manifest[] {
  const { revisionAddress } = routerOf(model.spec.traffic);
  const children = decision.run.flatMap(({ revision, replicas }) => {
    const record = records.get(revision);
    if (record === undefined) return [];
    return [
      controllerRevision(model, record),
      configMap(model, record),
      revisionService(model, revision, revisionAddress),
      deployment(model, record, replicas),
    ];
  });
  return [...children, ...routing(model, decision, records)];
}

function routing(
  model: OnnxModel,
  { next, serve, canary, run }: Decision,
  records: ReadonlyMap<Revision, RevisionRecord>,
): readonly Manifest[] {
  if (serve === null) return [];
  const reachable = run.map(({ revision }) => revision).filter((revision) => records.has(revision));
  return routerOf(model.spec.traffic).manifests(model, { next, serve, ...present({ canary }) }, reachable);
}
