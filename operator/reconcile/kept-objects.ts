/**
 * Decides which parts of each kind of object the operator's caches keep.
 *
 * Terms: A child is an object that the operator makes for a model, such as a Deployment.
 * Owns: the choice of the parts. Of a pod or a Gateway, only the fields in kube/kinds.ts are kept. Of a child almost
 * everything is kept, because any field may differ from the manifest. Only these parts of a child are dropped: the
 * operator's own managedFields, the annotation of kubectl, and fields of metadata and status that the operator does not
 * read.
 * Equal parts of objects are shared, and a part that did not change stays the same object.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { isRecord } from '../../api/record.ts';
import { keptFields, type Keep } from '../../kube/cache/kept-fields.ts';
import { SharedParts } from '../../kube/cache/shared-parts.ts';
import type { KubeObject, ManagedFieldsEntry } from '../../api/kube-object.ts';
import { controllerRevisions, deployments, pods, services } from '../../kube/kinds.ts';
import type { ControllerRevision, Deployment, Gateway, Pod, Service } from '../../kube/kinds.ts';
import { isSame, type JsonRecord } from '../../lib/json.ts';
import { foreignEntries } from './foreign-fields.ts';

/** An annotation that repeats the object as text. kubectl reads the annotation, but the operator does not. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

const ofMeta: Keep<KubeObject['metadata']> = {
  name: true,
  generateName: false,
  namespace: true,
  uid: true,
  resourceVersion: true,
  generation: true,
  creationTimestamp: true,
  deletionTimestamp: true,
  deletionGracePeriodSeconds: false,
  labels: true,
  annotations: withoutLastApplied,
  finalizers: true,
  ownerReferences: true,
  managedFields: false,
};
const ofChildMeta: Keep<KubeObject['metadata']> = { ...ofMeta, managedFields: foreignOnly };
const ofCondition: Keep<{ type: string; status: string; reason?: string; message?: string }> = {
  type: true,
  status: true,
  reason: true,
  message: true,
};
const ofTerminated = { exitCode: true, signal: true, reason: true, message: true, finishedAt: true } as const;
const ofState = { waiting: { reason: true, message: true }, running: true, terminated: ofTerminated } as const;
const ofContainer = {
  name: true,
  ready: true,
  started: true,
  restartCount: true,
  state: ofState,
  lastState: ofState,
} as const;

const ofPod: Keep<Pod> = {
  apiVersion: true,
  kind: true,
  metadata: ofMeta,
  spec: { nodeName: true },
  status: {
    phase: true,
    reason: true,
    message: true,
    podIP: true,
    conditions: [ofCondition],
    initContainerStatuses: [ofContainer],
    containerStatuses: [ofContainer],
  },
};
const ofGateway: Keep<Gateway> = {
  apiVersion: true,
  kind: true,
  metadata: ofMeta,
  spec: { listeners: [{ name: true, port: true, protocol: true, hostname: true }] },
  status: { addresses: [{ value: true }] },
};

/**
 * Makes the objects that the caches store. All caches of a process share one instance, because objects of different
 * kinds have equal parts.
 */
export class KeptObjects {
  readonly #parts = new SharedParts();

  /** @param before the stored object */
  readonly model = (object: OnnxModel, before: OnnxModel | undefined): OnnxModel => ({
    ...object,
    metadata: keptFields<OnnxModel['metadata']>(object.metadata, ofMeta),
    spec: unchanged(object.spec, before?.spec),
  });

  readonly pod = (object: Pod): Pod => keptFields<Pod>(object, ofPod);

  readonly gateway = (object: Gateway): Gateway => keptFields<Gateway>(object, ofGateway);

  /** The kept parts of a child whose kind has no special rules. */
  readonly child = <T extends KubeObject>(object: T): T => ({
    ...object,
    metadata: keptFields<KubeObject['metadata']>(object.metadata, ofChildMeta),
  });

  /** The kept parts of the server's answer to a write of a child. */
  readonly answer = (object: KubeObject): KubeObject => {
    if (object.kind === deployments.kind) return this.deployment(object as Deployment);
    if (object.kind === pods.kind) return this.pod(object as Pod);
    if (object.kind === controllerRevisions.kind)
      return this.controllerRevision(object as ControllerRevision, undefined);
    return object.kind === services.kind ? this.service(object as Service) : this.child(object);
  };

  readonly service = (object: Service): Service => {
    const { status: _, ...kept } = this.child<Service & { readonly status?: unknown }>(object);
    return kept;
  };

  readonly deployment = (object: Deployment): Deployment => {
    const { status, spec, ...kept } = this.child(object);
    const conditions = status?.conditions?.filter(({ type }) => type === 'ReplicaFailure') ?? [];
    return {
      ...kept,
      ...(spec === undefined ? {} : { spec: this.#workload(spec) }),
      ...(conditions.length === 0 ? {} : { status: { conditions } }),
    };
  };

  /** @param before the stored object */
  readonly controllerRevision = (
    object: ControllerRevision,
    before: ControllerRevision | undefined,
  ): ControllerRevision => {
    const kept = this.child(object);
    return isRecord(kept.data) ? { ...kept, data: unchanged(this.#workload(kept.data), before?.data) } : kept;
  };

  /**
   * A copy of a Deployment's spec or of a ControllerRevision's data that shares equal parts with other objects. A value
   * without a pod template is returned unchanged.
   */
  #workload<T extends object>(value: T): T {
    const { template, ...rest } = value as JsonRecord;
    const shared = this.#parts.shareFields(rest);
    if (!isRecord(template) || !isRecord(template['spec'])) return value;
    return { ...shared, template: { ...template, spec: this.#podSpec(template['spec']) } } as unknown as T;
  }

  #podSpec(spec: JsonRecord): JsonRecord {
    const out: JsonRecord = {};
    for (const [field, part] of Object.entries(spec))
      out[field] =
        field === 'containers' || field === 'initContainers' ? this.#containers(part) : this.#parts.share(part);
    return out;
  }

  #containers(list: unknown): unknown {
    return Array.isArray(list)
      ? list.map((item: unknown) => (isRecord(item) ? this.#parts.shareFields(item) : item))
      : list;
  }
}

function withoutLastApplied(notes: Readonly<Record<string, string>>): Readonly<Record<string, string>> | undefined {
  if (notes[lastApplied] === undefined) return notes;
  const { [lastApplied]: _, ...rest } = notes;
  return Object.keys(rest).length === 0 ? undefined : rest;
}

function foreignOnly(entries: readonly ManagedFieldsEntry[]): readonly ManagedFieldsEntry[] | undefined {
  const foreign = foreignEntries(entries);
  return foreign.length === 0 ? undefined : foreign;
}

/**
 * Returns the stored value if it is equal to the new value, so that results that were computed from the stored value
 * can be used again.
 */
function unchanged<T>(now: T, before: T | undefined): T {
  return before !== undefined && isSame(before, now) ? before : now;
}
