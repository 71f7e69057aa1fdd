/**
 * Which objects are a model's children, and of which revision.
 *
 * Owns: the rule that an object belongs to the model whose uid owns it; that one without any owner which carries the
 *       operator's labels and its hash is adopted (`kubectl delete --cascade=orphan`, or somebody removed the owner);
 *       and that a child's revision is in its name, whatever its labels say.
 * Pure.
 */
import { annotations, fieldManager, labels, revisionInName } from '../../api/names.ts';
import type { KubeObject } from '../../kube/client/object.ts';
import type { Revision } from '../rollout/state.ts';

type Model = { readonly metadata: { readonly name: string; readonly uid: string } };

/** A label is not enough: a child of a namesake that was deleted a moment ago is being collected. */
export function isChildOf(object: KubeObject, model: Model): boolean {
  return isOwnedBy(object, model.metadata.uid) || isOrphanOf(object, model.metadata.name);
}

export function isOwnedBy(object: KubeObject, uid: string | undefined): boolean {
  return object.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}

/** The operator made it for a model of this name, and nothing owns it now. */
export function isOrphanOf({ metadata }: KubeObject, model: string): boolean {
  const { labels: marks = {}, annotations: notes = {}, ownerReferences = [] } = metadata;
  return (
    ownerReferences.length === 0 &&
    marks[labels.managedBy] === fieldManager &&
    marks[labels.model] === model &&
    notes[annotations.applied] !== undefined
  );
}

/**
 * Nothing owns it now, and our hash tells that we made it, also where somebody took the labels away (`kubectl replace`
 * by a manifest without them). For an object of a child's own name only; caches do not see one without labels.
 */
export function isStripped({ metadata }: KubeObject, model: string | undefined): boolean {
  const { labels: marks = {}, annotations: notes = {}, ownerReferences = [] } = metadata;
  return (
    ownerReferences.length === 0 &&
    notes[annotations.applied] !== undefined &&
    [undefined, model].includes(marks[labels.model])
  );
}

/** @returns undefined of what belongs to the model as a whole */
export function revisionOfChild({ metadata }: KubeObject, model: string): Revision | undefined {
  return metadata.name === model
    ? undefined
    : (revisionInName(model, metadata.name) ?? metadata.labels?.[labels.revision]);
}
