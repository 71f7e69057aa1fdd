/**
 * Model + decision → every object that should exist.
 *
 * Owns:  the list and its order: a revision's record and config before its pods, the entry Service last, so
 *        that an apply that fails half-way has moved no traffic.
 * Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { Decision, Revision } from '../rollout/state.ts';
import { deployment } from './deployment.ts';
import type { Manifest, RevisionRecord } from './objects.ts';
import { configMap, controllerRevision } from './revisions.ts';
import { entryService, revisionService } from './services.ts';

/**
 * @param records what is known of the revisions that the decision runs; one that is missing (its
 *        ControllerRevision was deleted by somebody) gets no manifests, and apply.ts leaves its children alone
 */
export function desiredState(model: OnnxModel, decision: Decision, records: ReadonlyMap<Revision, RevisionRecord>): readonly Manifest[] {
  const children = decision.run.flatMap(({ revision, replicas }) => {
    const record = records.get(revision);
    if (record === undefined) return [];
    return [controllerRevision(model, record), configMap(model, record), revisionService(model, revision), deployment(model, record, replicas)];
  });
  return decision.serve === null ? children : [...children, entryService(model, decision.serve)];
}
