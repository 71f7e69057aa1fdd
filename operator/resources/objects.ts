/**
 * Manifests as plain data: what the builders make and apply.ts writes.
 *
 * Owns:  the types that all builders share, and the metadata that every child carries.
 * Pure.
 */
import type { FrozenSpec } from '../../api/defaults.ts';
import type { Resolved } from '../../api/last-words.ts';
import { api, fieldManager, labels } from '../../api/names.ts';
import type { OnnxModel, RevisionSpec } from '../../api/onnxmodel.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import type { Revision } from '../rollout/state.ts';

type OwnerReference = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: true;
  readonly blockOwnerDeletion: true;
};

export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences: readonly OwnerReference[];
  };
  readonly [field: string]: unknown;
};

/** Of a Deployment: metadata and spec of its pods. */
export type PodTemplateManifest = { readonly metadata: object; readonly spec: object };

/** A revision as its ControllerRevision holds it. */
export type RevisionRecord = {
  readonly revision: Revision;
  /** Generation of the spec that it was made from. */
  readonly generation: number;
  /** The hashed fields as the user wrote them: what puts this revision back when it is applied again. */
  readonly written: RevisionSpec;
  /** With the defaults and the image that were in force then. */
  readonly spec: FrozenSpec;
  /** Its pods as the operator that made it built them; absent until it is written down. */
  readonly template?: PodTemplateManifest;
  /** Once the first pod's `prepare` has said it. */
  readonly resolved?: Resolved;
  /** What its answers are held against before it gets traffic; absent for what an earlier operator made. */
  readonly golden?: FrozenGolden;
  /** Who has it may name peers and take samples at the revision's pods (api/access.ts). */
  readonly token?: string;
};

/** A golden gate as it was when the revision's rollout began, with the bytes that it was about. */
export type FrozenGolden = {
  readonly config: GoldenConfig;
  /** For which attempt of the rollout it was frozen. */
  readonly attempt: number;
  /** Of a set from a ConfigMap: what goes into the revision's own one, as text or as base64. */
  readonly file?: GoldenFile;
};

export type GoldenFile =
  { readonly name: string; readonly text: string } | { readonly name: string; readonly base64: string };

/** Labels that select the pods of one revision, or with only a model those of all its revisions. */
export function selectorOf(model: string, revision?: Revision): Readonly<Record<string, string>> {
  return { [labels.model]: model, ...(revision === undefined ? {} : { [labels.revision]: revision }) };
}

/** Metadata of a child: owned by the model, so that it goes when the model goes. */
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
