/**
 * Manifests as plain data, made by the builders in this folder and written by operator/reconcile/apply.ts.
 *
 * Terms: A child is an object that the operator makes for a model. An attempt is one try of a candidate; each retry
 * begins a new one.
 * Owns: the shared types of the builders, and the metadata of children.
 * Pure.
 */
import type { FrozenSpec } from '../../api/defaults.ts';
import type { KubeObject, ObjectMeta, OwnerReference } from '../../api/kube-object.ts';
import type { Resolved } from '../../api/last-words.ts';
import { api, fieldManager, labels } from '../../api/names.ts';
import type { OnnxModel, RevisionSpec } from '../../api/onnxmodel.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import type { Revision } from '../rollout/state.ts';

type ChildMeta = Pick<ObjectMeta, 'name' | 'annotations'> & {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ownerReferences: readonly Required<OwnerReference>[];
};

export type Manifest = KubeObject<ChildMeta> & { readonly [field: string]: unknown };

/** Metadata and spec of a Deployment's pods. */
export type PodTemplateManifest = { readonly metadata: object; readonly spec: object };

/** The content of the ControllerRevision and the ConfigMap of a revision. */
export type RevisionRecord = {
  readonly revision: Revision;
  /** The generation of the spec that first had this revision. */
  readonly generation: number;
  /** The spec fields whose hash names the revision, as the user wrote them. The same fields give the same revision. */
  readonly written: RevisionSpec;
  /** The fields of `written`, with the defaults and the image of the time when the revision was created. */
  readonly spec: FrozenSpec;
  /** The pod template of the time when the revision was created; absent until the ControllerRevision is written. */
  readonly template?: PodTemplateManifest;
  /** The result of `prepare`, set after the first pod has reported it. */
  readonly resolved?: Resolved;
  /**
   * The golden set: the inputs that the pods must answer well before they get traffic. Absent if the revision needs no
   * golden set, or if an earlier operator made the revision.
   */
  readonly golden?: FrozenGolden;
  /**
   * The token that a request to the revision's sidecars needs if it gives instructions or reads samples
   * (api/access.ts).
   */
  readonly token?: string;
};

/**
 * A copy of spec.rollout.gates.golden and of the bytes of its set, made for one attempt of a rollout
 * (operator/golden/golden-set.ts).
 */
export type FrozenGolden = {
  readonly config: GoldenConfig;
  /** The attempt of the rollout for which the set was frozen. */
  readonly attempt: number;
  /** The copy of the set for the revision's own ConfigMap. Absent if the set does not come from a ConfigMap. */
  readonly file?: GoldenFile;
};

export type GoldenFile =
  { readonly name: string; readonly text: string } | { readonly name: string; readonly base64: string };

/** Labels that select the pods of one revision, or the pods of all revisions when `revision` is absent. */
export function selectorOf(model: string, revision?: Revision): Readonly<Record<string, string>> {
  return { [labels.model]: model, ...(revision === undefined ? {} : { [labels.revision]: revision }) };
}

/** Metadata of a child. The model owns the child, so that Kubernetes deletes the child with the model. */
export function childMeta(model: OnnxModel, name: string, revision?: Revision): Manifest['metadata'] {
  return {
    name,
    namespace: model.metadata.namespace,
    labels: { ...selectorOf(model.metadata.name, revision), [labels.managedBy]: fieldManager },
    ownerReferences: [
      {
        apiVersion: api.groupVersion,
        kind: api.kind,
        name: model.metadata.name,
        uid: model.metadata.uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  };
}
