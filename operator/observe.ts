/**
 * Everything one model's pass needs, read from caches into plain data.
 *
 * Owns:  which objects count as a model's, and what of them is a fact. Reads caches only: no request is made.
 */
import { rolloutDefaults, withDefaults } from '../api/defaults.ts';
import { parseLastWords, type Resolved } from '../api/last-words.ts';
import { containers, labels } from '../api/names.ts';
import type { OnnxModel } from '../api/onnxmodel.ts';
import type { Report } from '../api/report.ts';
import { parseDurationMs } from '../api/units.ts';
import { readState } from './memory.ts';
import type { ConfigMap, ControllerRevision, Deployment, Pod, Service } from './kube-objects.ts';
import type { KubeObject } from './kube/object.ts';
import { troubleOf, worstTrouble } from './pod-trouble.ts';
import { readControllerRevision } from './resources/revisions.ts';
import type { RevisionRecord } from './resources/objects.ts';
import { revisionOf, revisionSpecOf } from './revision.ts';
import type { Observation, Revision, RevisionPods, RolloutPlan, RolloutState, Trouble } from './rollout/state.ts';

/** What the operator remembers of the cluster. `key` is `namespace/name` of a model. */
export interface Caches {
  model(key: string): OnnxModel | undefined;
  /** Children by the label that names their model. */
  pods(key: string): readonly Pod[];
  deployments(key: string): readonly Deployment[];
  services(key: string): readonly Service[];
  configMaps(key: string): readonly ConfigMap[];
  controllerRevisions(key: string): readonly ControllerRevision[];
}

export type Settings = {
  /** Image of a revision whose spec names none. */
  readonly runtimeImage: string;
  readonly settleMs: number;
  /** How `status.address.url` names the entry Service. */
  readonly serviceAddress: 'DNS' | 'ClusterIP';
};

/** A manifest that could not be applied in the pass before. */
export type ApplyFailure = { readonly revision?: Revision; readonly trouble: Trouble };

export type Seen = {
  readonly model: OnnxModel;
  readonly memory: RolloutState;
  readonly plan: RolloutPlan;
  readonly rollout: Observation;
  /** Every revision that is remembered, and the one of the spec as it is now. */
  readonly records: ReadonlyMap<Revision, RevisionRecord>;
  /** Pods that are not going away, by revision. */
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
  readonly entry: Service | undefined;
  /** Children as they are, to compare with what is wanted. */
  readonly children: readonly KubeObject[];
};

/** @returns undefined when the model is gone or going: its children go by their owner references */
export function observe(key: string, caches: Caches, settings: Settings, failure?: ApplyFailure): Seen | undefined {
  const model = caches.model(key);
  if (model === undefined || model.metadata.deletionTimestamp !== undefined) return undefined;
  const mine = <T extends KubeObject>(objects: readonly T[]): readonly T[] => objects.filter((object) => ownedBy(object, model));

  const deployments = mine(caches.deployments(key));
  const services = mine(caches.services(key));
  const pods = groupByRevision(caches.pods(key).filter((pod) => pod.metadata.deletionTimestamp === undefined));
  const controllerRevisions = mine(caches.controllerRevisions(key));
  const target = revisionOf(model.spec);
  const records = recordsOf({ model, target, controllerRevisions, pods, settings });
  const entry = services.find((service) => service.metadata.name === model.metadata.name);
  return {
    model,
    memory: readState(model.status),
    plan: planOf(model, settings),
    rollout: { target, routed: entry?.spec?.selector?.[labels.revision] ?? null, pods: podFacts({ pods, records, deployments, ...(failure === undefined ? {} : { failure }) }) },
    records,
    pods,
    entry,
    children: [...services, ...deployments, ...mine(caches.configMaps(key)), ...controllerRevisions],
  };
}

/** A label is not enough: a child of a namesake that was deleted a moment ago is not ours. */
function ownedBy(object: KubeObject, model: OnnxModel): boolean {
  return object.metadata.ownerReferences?.some((owner) => owner.uid === model.metadata.uid) ?? false;
}

function planOf(model: OnnxModel, settings: Settings): RolloutPlan {
  const deadline = model.spec.rollout?.progressDeadline ?? rolloutDefaults.progressDeadline;
  return { replicas: model.spec.replicas ?? 1, readyWithinMs: parseDurationMs(deadline) ?? 0, settleMs: settings.settleMs };
}

type RecordSources = {
  readonly model: OnnxModel;
  readonly target: Revision;
  readonly controllerRevisions: readonly ControllerRevision[];
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
  readonly settings: Settings;
};

function recordsOf({ model, target, controllerRevisions, pods, settings }: RecordSources): ReadonlyMap<Revision, RevisionRecord> {
  const records = new Map<Revision, RevisionRecord>();
  for (const object of controllerRevisions) {
    const record = readControllerRevision(object);
    if (record !== undefined) records.set(record.revision, record);
  }
  if (!records.has(target)) {
    records.set(target, { revision: target, generation: model.metadata.generation, spec: withDefaults(revisionSpecOf(model.spec), settings.runtimeImage) });
  }
  for (const [revision, record] of records) {
    const resolved = record.resolved ?? learnedFrom(pods.get(revision) ?? []);
    if (resolved !== undefined) records.set(revision, { ...record, resolved });
  }
  return records;
}

/** What the first pod whose `prepare` is through has said. The oldest pod counts, so that all readers agree. */
function learnedFrom(pods: readonly Pod[]): Resolved | undefined {
  const bornAt = (pod: Pod): string => pod.metadata.creationTimestamp ?? '';
  const oldestFirst = [...pods].sort((a, b) => (bornAt(a) < bornAt(b) ? -1 : 1));
  return oldestFirst.map(saidBy).find((resolved) => resolved !== undefined);
}

function saidBy(pod: Pod): Resolved | undefined {
  const prepare = pod.status?.initContainerStatuses?.find((status) => status.name === containers.prepare);
  const ended = prepare?.state?.terminated;
  const words = ended?.exitCode === 0 ? parseLastWords(ended.message ?? '') : undefined;
  return words?.kind === 'resolved' ? words.resolved : undefined;
}

function groupByRevision(pods: readonly Pod[]): ReadonlyMap<Revision, readonly Pod[]> {
  const groups = new Map<Revision, Pod[]>();
  for (const pod of pods) {
    const revision = pod.metadata.labels?.[labels.revision];
    if (revision === undefined) continue;
    const group = groups.get(revision) ?? [];
    group.push(pod);
    groups.set(revision, group);
  }
  return groups;
}

type PodSources = {
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
  readonly records: ReadonlyMap<Revision, RevisionRecord>;
  readonly deployments: readonly Deployment[];
  readonly failure?: ApplyFailure;
};

function podFacts({ pods, records, deployments, failure }: PodSources): Readonly<Record<Revision, RevisionPods>> {
  const revisions = new Set([...pods.keys(), ...deployments.map((d) => d.metadata.labels?.[labels.revision] ?? '')]);
  if (failure?.revision !== undefined) revisions.add(failure.revision);
  revisions.delete('');
  return Object.fromEntries(
    [...revisions].map((revision) => {
      const mine = pods.get(revision) ?? [];
      const notCreated = deployments.filter((d) => d.metadata.labels?.[labels.revision] === revision).map(podsNotCreated);
      const notApplied = failure?.revision === revision ? failure.trouble : undefined;
      const trouble = worstTrouble([notApplied, ...notCreated, ...mine.map(troubleOf)]);
      const facts = { ready: mine.filter(isReady).length, total: mine.length, resolved: records.get(revision)?.resolved !== undefined };
      return [revision, trouble === undefined ? facts : { ...facts, trouble }];
    }),
  );
}

/** Quota, admission or Pod Security refused the pods: the Deployment's controller says so. */
function podsNotCreated(deployment: Deployment): Trouble | undefined {
  const failing = deployment.status?.conditions?.find((condition) => condition.type === 'ReplicaFailure' && condition.status === 'True');
  return failing === undefined ? undefined : { reason: 'PodsNotCreated', message: failing.message ?? 'pods cannot be created', fatal: false };
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
}

/** The latest report of each pod, by uid. Absent: no information. */
export type Reports = (uid: string) => Report | undefined;
