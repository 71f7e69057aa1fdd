/**
 * The objects of a run, and the changes of their specs.
 * Owns: the specs of our own models. To measure another operator, the user provides an object in which `{name}` stands
 * for the name.
 * Pure.
 */
import { api } from '../../api/names.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { ResourceType } from '../../kube/client/resource-type.ts';

export const benchNamespace = 'bench';

/** A custom resource of any operator, with the status fields that the bench reads. */
export type BenchModel = KubeObject & {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly phase?: string;
    readonly readyReplicas?: number;
    readonly stable?: { readonly revision?: string };
    readonly rollout?: { readonly phase?: string };
  };
};

export type Definition = KubeObject & {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string; readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly served: boolean; readonly storage: boolean }[];
  };
};

export function typeOf({ spec }: Definition): ResourceType<BenchModel> {
  const version = spec.versions.find(({ served, storage }) => served && storage)?.name ?? '';
  return { group: spec.group, version, plural: spec.names.plural, kind: spec.names.kind, namespaced: true };
}

export function modelName(index: number): string {
  return `bench-${String(index).padStart(4, '0')}`;
}

/** An OnnxModel. With `replicas` 0 the operator makes every object that belongs to the model, but no pods. */
export function plainModel(name: string, replicas: number): KubeObject {
  return ourModel(name, { replicas });
}

/**
 * An OnnxModel whose new revisions are rolled out as canaries. A canary first gets half of the traffic and is judged
 * for up to half an hour, so the rollout stays in this step during a run of the bench.
 */
export function canaryModel(name: string): KubeObject {
  return ourModel(name, {
    replicas: 1,
    rollout: {
      strategy: 'Canary',
      steps: [{ weight: 50 }, { analyze: { require: 'Pass', maxDuration: '30m' } }, { weight: 100 }],
      gates: { confidence: 'Quick' },
      probes: { mode: 'Off' },
    },
  });
}

/**
 * A merge patch that changes the runtime's image, so the operator must make a Deployment for a new revision.
 * @param value becomes the tag of the image; the bench searches Deployments for it to see that the change has arrived
 */
export function newRevision(value: string): object {
  return { spec: { runtime: { image: `registry.invalid/runtime:${value}` } } };
}

/** A merge patch that changes the settings of rollouts but does not make a new revision. */
export function newSettings(minutes: number): object {
  return { spec: { rollout: { progressDeadline: `${minutes}m` } } };
}

/** Replaces `{name}` or `{value}` in every text of a template. */
export function filledIn<T>(template: T, placeholder: 'name' | 'value', value: string): T {
  return JSON.parse(JSON.stringify(template).replaceAll(`{${placeholder}}`, value)) as T;
}

function ourModel(name: string, spec: Readonly<Record<string, unknown>>): KubeObject {
  return {
    apiVersion: api.groupVersion,
    kind: api.kind,
    metadata: { name, namespace: benchNamespace },
    spec: {
      model: { uri: `https://models.invalid/${name}.onnx` },
      memory: { limit: '512Mi' },
      runtime: { image: 'registry.invalid/runtime:first' },
      ...spec,
    },
  } as KubeObject;
}
