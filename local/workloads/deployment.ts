/**
 * The Deployment controller: each Deployment has one ReplicaSet per pod template.
 * Owns: creating, scaling and deleting ReplicaSets, the revision annotation, the Deployment's status.
 * deployment-plan.ts decides the next step, and deployment-status.ts makes the status. This file reads and writes the
 * objects.
 */
import { controllerOf } from '../../api/kube-object.ts';
import type { Clock } from '../../lib/clock.ts';
import type { StoredObject, Objects } from '../objects.ts';
import { isFinished, type StoredPod } from '../kubelet/pod.ts';
import type { Key } from './controller.ts';
import { planDeployment, resolveRollingUpdate, type DeploymentSeen, type DeploymentStep } from './deployment-plan.ts';
import { describeDeployment } from './deployment-status.ts';
import type { LocalEventRecorder } from './event-recorder.ts';
import {
  deploymentsPath,
  podsPath,
  replicaSetsPath,
  type StoredDeployment,
  type ReplicaSet,
  type PodTemplate,
} from './resources.ts';
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../lib/canonical-json.ts';

export type DeploymentDeps = { readonly objects: Objects; readonly clock: Clock; readonly events: LocalEventRecorder };

const revisionAnnotation = 'deployment.kubernetes.io/revision';

/** Takes the next step of one Deployment. @returns milliseconds until its progress deadline, if it has one */
export function syncDeployment(deps: DeploymentDeps, { namespace, name }: Key): number | undefined {
  const deployment = deps.objects.get({ ...deploymentsPath, namespace, name }) as StoredDeployment | undefined;
  // Do nothing for a deleted Deployment: the garbage collector deletes its ReplicaSets.
  if (deployment === undefined || deployment.metadata.deletionTimestamp !== undefined) return undefined;
  const { maxSurge, maxUnavailable } = resolveRollingUpdate(deployment.spec);
  for (const step of planDeployment(look(deps, deployment, { maxSurge, maxUnavailable })))
    apply(deps, deployment, step);
  keepRevision(deps, deployment);

  const sets = setsOf(deps.objects, deployment);
  const current = sets.find((set) => sameTemplate(set.spec.template, deployment.spec.template));
  const latest = deps.objects.get({ ...deploymentsPath, namespace, name }) as StoredDeployment | undefined;
  if (latest === undefined) return undefined;
  const { status, recheckMs } = describeDeployment({
    deployment: latest,
    current,
    sets,
    maxUnavailable,
    nowMs: deps.clock.now(),
  });
  deps.objects.updateStatus(deploymentsPath, { ...latest, status });
  return recheckMs;
}

/** The key of the Deployment that an object belongs to. The object is the Deployment itself, a ReplicaSet or a pod. */
export function deploymentKeys(objects: Objects, object: StoredObject): readonly Key[] {
  const namespace = object.metadata.namespace ?? '';
  if (object.kind === 'Deployment') return [{ namespace, name: object.metadata.name }];
  const owner = object.metadata.ownerReferences?.find((one) => one.controller === true);
  if (owner === undefined) return [];
  if (owner.kind === 'Deployment') return [{ namespace, name: owner.name }];
  const set =
    owner.kind === 'ReplicaSet' ? objects.get({ ...replicaSetsPath, namespace, name: owner.name }) : undefined;
  return set === undefined ? [] : deploymentKeys(objects, set);
}

function setsOf(objects: Objects, deployment: StoredDeployment): readonly ReplicaSet[] {
  const all = objects.list(replicaSetsPath, {
    namespace: deployment.metadata.namespace ?? '',
  }) as readonly ReplicaSet[];
  return all.filter(
    (set) => controllerOf(set)?.uid === deployment.metadata.uid && set.metadata.deletionTimestamp === undefined,
  );
}

function look(
  { objects }: DeploymentDeps,
  deployment: StoredDeployment,
  bounds: { maxSurge: number; maxUnavailable: number },
): DeploymentSeen {
  const sets = setsOf(objects, deployment);
  const isCurrent = (set: ReplicaSet): boolean => sameTemplate(set.spec.template, deployment.spec.template);
  const oldUids = new Set(sets.filter((set) => !isCurrent(set)).map((set) => set.metadata.uid));
  const namespacePods = objects.list(podsPath, {
    namespace: deployment.metadata.namespace ?? '',
  }) as readonly StoredPod[];
  return {
    desired: deployment.spec.replicas ?? 1,
    strategy: deployment.spec.strategy?.type ?? 'RollingUpdate',
    ...bounds,
    paused: deployment.spec.paused ?? false,
    historyLimit: deployment.spec.revisionHistoryLimit ?? 10,
    oldPodsLeft: namespacePods.some((pod) => oldUids.has(controllerOf(pod)?.uid ?? '') && !isFinished(pod)),
    sets: sets.map((set) => ({
      name: set.metadata.name,
      current: isCurrent(set),
      createdMs: Date.parse(set.metadata.creationTimestamp),
      wanted: set.spec.replicas ?? 1,
      replicas: set.status?.replicas ?? 0,
      available: set.status?.availableReplicas ?? 0,
    })),
  };
}

function apply(deps: DeploymentDeps, deployment: StoredDeployment, step: DeploymentStep): void {
  const namespace = deployment.metadata.namespace ?? '';
  if (step.kind === 'forget') return deps.objects.delete({ ...replicaSetsPath, namespace, name: step.set });
  if (step.kind === 'create') return create(deps, deployment, step.replicas);
  const set = deps.objects.get({ ...replicaSetsPath, namespace, name: step.set }) as ReplicaSet | undefined;
  if (set === undefined) return;
  deps.objects.update(replicaSetsPath, { ...set, spec: { ...set.spec, replicas: step.to } });
  const direction = step.to > step.from ? 'up' : 'down';
  deps.events.record(
    deployment,
    'Normal',
    'ScalingReplicaSet',
    `Scaled ${direction} replica set ${step.set} from ${step.from} to ${step.to}`,
  );
}

function create(deps: DeploymentDeps, deployment: StoredDeployment, replicas: number): void {
  const { metadata, spec } = deployment;
  const hash = templateHash(spec.template);
  const labelled = { ...spec.template.metadata?.labels, [hashLabel]: hash };
  const name = `${metadata.name}-${hash}`;
  deps.objects.create(replicaSetsPath, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      labels: labelled,
      annotations: { [revisionAnnotation]: String(newestRevision(setsOf(deps.objects, deployment)) + 1) },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          name: metadata.name,
          uid: metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      replicas,
      ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [hashLabel]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels: labelled } },
    },
  });
  if (replicas > 0)
    deps.events.record(
      deployment,
      'Normal',
      'ScalingReplicaSet',
      `Scaled up replica set ${name} from 0 to ${replicas}`,
    );
}

/**
 * Gives the Deployment and the ReplicaSet of its template the same revision. When a Deployment returns to an old
 * template, the ReplicaSet of this template gets the newest revision.
 */
function keepRevision({ objects }: DeploymentDeps, deployment: StoredDeployment): void {
  const sets = setsOf(objects, deployment);
  const current = sets.find((set) => sameTemplate(set.spec.template, deployment.spec.template));
  if (current === undefined) return;
  const newestOther = newestRevision(sets.filter((set) => set !== current));
  const revision = String(Math.max(revisionOf(current), newestOther + 1));
  annotate(objects, replicaSetsPath, current, revision);
  annotate(objects, deploymentsPath, deployment, revision);
}

function annotate(
  objects: Objects,
  type: typeof replicaSetsPath | typeof deploymentsPath,
  object: StoredObject,
  revision: string,
): void {
  if (object.metadata.annotations?.[revisionAnnotation] === revision) return;
  const stored = objects.get({ ...type, namespace: object.metadata.namespace ?? '', name: object.metadata.name });
  if (stored === undefined) return;
  objects.update(type, {
    ...stored,
    metadata: { ...stored.metadata, annotations: { ...stored.metadata.annotations, [revisionAnnotation]: revision } },
  });
}

function newestRevision(sets: readonly ReplicaSet[]): number {
  return Math.max(0, ...sets.map(revisionOf));
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[revisionAnnotation] ?? 0);
}

export const hashLabel = 'pod-template-hash';

/** The characters of a hash. Vowels and ambiguous characters are left out, so that a hash does not form a word. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** @returns ten characters that are valid in a label and a name */
export function templateHash(template: PodTemplate): string {
  const digest = createHash('sha256')
    .update(canonicalJson(withoutHash(template)))
    .digest();
  return [...digest.subarray(0, 10)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

export function sameTemplate(a: PodTemplate, b: PodTemplate): boolean {
  return canonicalJson(withoutHash(a)) === canonicalJson(withoutHash(b));
}

function withoutHash(template: PodTemplate): PodTemplate {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}
