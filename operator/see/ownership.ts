/**
 * Decides which objects are a model's children (objects that the operator made for it), and of which revision.
 *
 * Owns: an object belongs to the model whose uid is in its owner references. An object without an owner is adopted if
 * it has the operator's labels and the annotation with the hash of its manifest, for example after `kubectl delete
 * --cascade=orphan`. The name of a child determines its revision; the revision label is used only if the name contains
 * no revision.
 * Pure.
 */
import { annotations, fieldManager, labels, revisionInName } from '../../api/names.ts';
import type { KubeObject, StoredMeta } from '../../api/kube-object.ts';
import type { Revision } from '../rollout/state.ts';

type Model = { readonly metadata: Pick<StoredMeta, 'name' | 'uid'> };

/**
 * Labels alone are not enough: a child of a deleted model with the same name has the same labels until the garbage
 * collector deletes it.
 */
export function isChildOf(object: KubeObject, model: Model): boolean {
  return isOwnedBy(object, model.metadata.uid) || isOrphanOf(object, model.metadata.name);
}

export function isOwnedBy(object: KubeObject, uid: string | undefined): boolean {
  return object.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}

/** True when the operator created the object for a model of this name and the object has no owner. */
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
 * True when the operator created the object and the object has no owner, even if another writer removed the labels
 * (`kubectl replace` with a manifest without labels). Call this function only for an object with the exact name of a
 * child, read from the API server: the caches select by label and do not contain such an object.
 */
export function isStripped({ metadata }: KubeObject, model: string | undefined): boolean {
  const { labels: marks = {}, annotations: notes = {}, ownerReferences = [] } = metadata;
  return (
    ownerReferences.length === 0 &&
    notes[annotations.applied] !== undefined &&
    [undefined, model].includes(marks[labels.model])
  );
}

/** @returns undefined for an object that does not belong to one revision, such as the entry Service */
export function revisionOfChild({ metadata }: KubeObject, model: string): Revision | undefined {
  return metadata.name === model
    ? undefined
    : (revisionInName(model, metadata.name) ?? metadata.labels?.[labels.revision]);
}
