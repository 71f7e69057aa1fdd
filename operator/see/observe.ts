/**
 * Reads one model and its children from the caches into plain data. seen.ts combines the parts.
 *
 * Terms: A child is an object that the operator makes for a model. A record is what the operator stores of a revision
 * in a ControllerRevision. `prepare` is the init container, which reports what it found in the model's files.
 * Owns: which objects belong to a model, and which facts are derived from them. It reads caches only and sends no
 * requests.
 */
import { withDefaults } from '../../api/defaults.ts';
import { present } from '../../api/present.ts';
import { memoised } from '../../lib/memoised.ts';
import { parseLastWords, type Resolved } from '../../api/last-words.ts';
import { annotations, containers, labels } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { readState } from './stored-state.ts';
import { byAge, isReady, type ControllerRevision, type Deployment, type Pod, type Service } from '../../kube/kinds.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { podsRefused, troubleOf, worstTrouble } from './pod-trouble.ts';
import { isChildOf, revisionOfChild } from './ownership.ts';
import { livePlan, spentIn } from '../rollout/intents.ts';
import { lastKnownOf } from '../rollout/last-words.ts';
import { readControllerRevision } from '../resources/revisions.ts';
import type { RevisionRecord } from '../resources/objects.ts';
import { revisionOf, revisionSpecOf } from './revision.ts';
import { withImageInForce } from './revision-image.ts';
import { rolloutPlanOf } from '../rollout/plan.ts';
import { routerOf, trafficSeen } from '../traffic/router.ts';
import type { Revision, RevisionPods, Trouble } from '../rollout/state.ts';
import type { ApplyFailure, Before, Caches, Observed, Settings } from './seen.ts';

/**
 * The caches keep the same spec object and the same ControllerRevision object while they are unchanged, so results are
 * memoised by object identity.
 */
const revisionIn = memoised(revisionOf);
const recordIn = memoised(readControllerRevision);

/** @returns undefined when the model is deleted or terminating; the garbage collector then deletes its children */
export function observe(
  key: string,
  caches: Caches,
  settings: Settings,
  { failure, reverts }: Before = { reverts: 0 },
): Observed | undefined {
  const model = caches.model(key);
  if (model === undefined || model.metadata.deletionTimestamp !== undefined) return undefined;
  const mine = <T extends KubeObject>(objects: readonly T[]): readonly T[] =>
    objects.filter((object) => isChildOf(object, model));

  const deployments = mine(caches.deployments(key));
  const services = mine(caches.services(key));
  const there = caches
    .pods(key)
    .filter((pod) => pod.metadata.deletionTimestamp === undefined && madeFor(pod, deployments, model));
  const pods = groupByRevision(there.filter((pod) => !hasEnded(pod)));
  const controllerRevisions = mine(caches.controllerRevisions(key));
  const target = revisionIn(model.spec);
  const records = recordsOf({ model, target, controllerRevisions, deployments, pods, settings });
  const asked = rolloutPlanOf(model.spec, settings.settleMs);
  const spent = spentIn(model.status, asked);
  const plan = livePlan(asked, spent);
  const routes = mine(caches.httpRoutes(key));
  const namesake = <T extends KubeObject>(objects: readonly T[]): T | undefined =>
    objects.find((object) => object.metadata.name === model.metadata.name);
  const entry = namesake(services);
  const traffic = trafficSeen(
    { model, entry, route: namesake(routes), services, gatewayApi: caches.gatewayApi, pods },
    reverts,
  );
  return {
    model,
    memory: readState(model.status),
    plan,
    rollout: {
      target: wantedRevision(target, plan.pinRevision, records),
      ...lastKnownOf(model.status),
      spent,
      routed: selectedBy(entry),
      ...present({ traffic, marked: entry?.metadata.annotations?.[annotations.stable] }),
      pods: podFacts({ model, pods, present: there, records, deployments, ...present({ failure }) }),
    },
    records,
    pods,
    entry,
    url: routerOf(plan).url(model, {
      entry,
      gatewayOf: (name) => caches.gateway(name),
      style: settings.serviceAddress,
    }),
    gatewayApi: caches.gatewayApi,
    children: [...services, ...routes, ...deployments, ...mine(caches.configMaps(key)), ...controllerRevisions],
  };
}

function selectedBy(entry: Service | undefined): Revision | null {
  return entry?.spec?.selector?.[labels.revision] ?? null;
}

/**
 * True for a pod of its revision's current Deployment. Any other pod has no Deployment, or is older than its
 * Deployment: it belongs to a deleted Deployment or to a deleted model of the same name. The garbage collector will
 * delete it.
 */
function madeFor(pod: Pod, deployments: readonly Deployment[], model: OnnxModel): boolean {
  const own = deployments.find((deployment) => revisionOfChild(deployment, model.metadata.name) === revisionLabel(pod));
  return (
    own !== undefined &&
    own.metadata.deletionTimestamp === undefined &&
    (pod.metadata.creationTimestamp ?? '') >= (own.metadata.creationTimestamp ?? '')
  );
}

/**
 * True for a pod that failed, for example by eviction, or has completed. The pod does not count as present, but its
 * problem can still be reported.
 */
function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
}

function revisionLabel(object: Pod): Revision | undefined {
  return object.metadata.labels?.[labels.revision];
}

/**
 * The revision that the rollout should reach. A pinned revision takes precedence over the spec's revision while a
 * record of the pinned revision exists.
 */
function wantedRevision(
  target: Revision,
  pin: Revision | undefined,
  records: ReadonlyMap<Revision, RevisionRecord>,
): Revision {
  return pin !== undefined && records.has(pin) ? pin : target;
}

type RecordSources = {
  readonly model: OnnxModel;
  readonly target: Revision;
  readonly controllerRevisions: readonly ControllerRevision[];
  readonly deployments: readonly Deployment[];
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
  readonly settings: Settings;
};

function recordsOf({
  model,
  target,
  controllerRevisions,
  deployments,
  pods,
  settings,
}: RecordSources): ReadonlyMap<Revision, RevisionRecord> {
  const records = new Map<Revision, RevisionRecord>();
  for (const object of controllerRevisions) {
    const record = recordIn(object);
    if (record !== undefined) records.set(record.revision, record);
  }
  records.set(
    target,
    withImageInForce(records.get(target) ?? newRecord({ model, target, deployments, settings }), {
      state: readState(model.status),
      provenance: lastKnownOf(model.status).provenance,
      isReady: (pods.get(target) ?? []).some(isReady),
      defaultImage: settings.runtimeImage,
    }),
  );
  for (const [revision, record] of records) {
    const resolved = record.resolved ?? learnedFrom(pods.get(revision) ?? []);
    if (resolved !== undefined) records.set(revision, { ...record, resolved });
  }
  return records;
}

function newRecord({
  model,
  target,
  deployments,
  settings,
}: Pick<RecordSources, 'model' | 'target' | 'deployments' | 'settings'>): RevisionRecord {
  // If the ControllerRevision was deleted while pods run, keep the image of the running pods.
  const image =
    imageOf(deployments.find((deployment) => revisionOfChild(deployment, model.metadata.name) === target)) ??
    settings.runtimeImage;
  const written = revisionSpecOf(model.spec);
  return { revision: target, generation: model.metadata.generation, written, spec: withDefaults(written, image) };
}

function imageOf(deployment: Deployment | undefined): string | undefined {
  return deployment?.spec?.template?.spec?.containers?.find((container) => container.name === containers.runtime)
    ?.image;
}

/**
 * The result of the oldest pod whose `prepare` succeeded. The oldest pod is used, so that every pass picks the same
 * pod.
 */
function learnedFrom(pods: readonly Pod[]): Resolved | undefined {
  return pods
    .toSorted(byAge)
    .map(saidBy)
    .find((resolved) => resolved !== undefined);
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
    const revision = revisionLabel(pod);
    if (revision === undefined) continue;
    const group = groups.get(revision) ?? [];
    group.push(pod);
    groups.set(revision, group);
  }
  return groups;
}

type PodSources = {
  readonly model: OnnxModel;
  /** Pods that are running or pending. */
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
  /** All pods in `pods`, and pods that failed or completed. */
  readonly present: readonly Pod[];
  readonly records: ReadonlyMap<Revision, RevisionRecord>;
  readonly deployments: readonly Deployment[];
  readonly failure?: ApplyFailure;
};

function podFacts({
  model,
  pods,
  present,
  records,
  deployments,
  failure,
}: PodSources): Readonly<Record<Revision, RevisionPods>> {
  const revisionOf = (deployment: Deployment): Revision | undefined => revisionOfChild(deployment, model.metadata.name);
  const deployed = new Set(deployments.map(revisionOf));
  const revisions = new Set(
    [...records.keys(), ...pods.keys(), ...deployed, failure?.revision].filter((revision) => revision !== undefined),
  );
  return Object.fromEntries(
    [...revisions].map((revision) => {
      const mine = pods.get(revision) ?? [];
      const notCreated = deployments.filter((deployment) => revisionOf(deployment) === revision).map(podsNotCreated);
      const notApplied = failure?.revision === revision ? failure.trouble : undefined;
      const ofPods = present.filter((pod) => revisionLabel(pod) === revision).map(troubleOf);
      const trouble = worstTrouble([notApplied, ...notCreated, ...ofPods]);
      const facts = {
        ready: mine.filter(isReady).length,
        present: mine.length,
        deployed: deployed.has(revision),
        resolved: records.get(revision)?.resolved !== undefined,
      };
      return [revision, trouble === undefined ? facts : { ...facts, trouble }];
    }),
  );
}

/**
 * The trouble of a Deployment with the condition ReplicaFailure: a quota, admission or Pod Security refused its pods.
 */
function podsNotCreated(deployment: Deployment): Trouble | undefined {
  const failing = deployment.status?.conditions?.find(
    (condition) => condition.type === 'ReplicaFailure' && condition.status === 'True',
  );
  return failing === undefined ? undefined : podsRefused(failing.message ?? 'pods cannot be created');
}
