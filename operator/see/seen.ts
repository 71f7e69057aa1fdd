/**
 * The picture that a pass has of one model.
 *
 * Owns:  its type, the types of what it is made from, and the one place where the parts are put together: nothing
 *        changes a picture afterwards.
 * Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import type { Report } from '../../api/report.ts';
import type { TypePresence } from '../../kube/cache/optional-watch.ts';
import type { KubeObject, ObjectName } from '../../kube/client/object.ts';
import type { ConfigMap, ControllerRevision, Deployment, Gateway, HttpRoute, Pod, Service } from '../../kube/kinds.ts';
import type { FrozenGolden, RevisionRecord } from '../resources/objects.ts';
import type {
  Checks,
  GateReading,
  Observation,
  Revision,
  RevisionPods,
  RolloutPlan,
  RolloutState,
  Trouble,
} from '../rollout/state.ts';

/** What the operator remembers of the cluster. `key` is `namespace/name` of a model. */
export interface Caches {
  model(key: string): OnnxModel | undefined;
  /** Children by the label that names their model. */
  pods(key: string): readonly Pod[];
  deployments(key: string): readonly Deployment[];
  services(key: string): readonly Service[];
  configMaps(key: string): readonly ConfigMap[];
  controllerRevisions(key: string): readonly ControllerRevision[];
  httpRoutes(key: string): readonly HttpRoute[];
  /** Anybody's. */
  gateway(name: ObjectName): Gateway | undefined;
  /** Whether the cluster has HTTPRoutes. */
  readonly gatewayApi: TypePresence;
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

/** What the caches tell of a model. */
export type Observed = {
  readonly model: OnnxModel;
  readonly memory: RolloutState;
  readonly plan: RolloutPlan;
  readonly rollout: Observation;
  /** Every revision that is remembered, and the one of the spec as it is now. */
  readonly records: ReadonlyMap<Revision, RevisionRecord>;
  /** Pods that are not going away, by revision. */
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
  readonly entry: Service | undefined;
  /** Where clients call; undefined while it is not known. */
  readonly url: string | undefined;
  /** Whether the cluster has HTTPRoutes. */
  readonly gatewayApi: TypePresence;
  /** Children as they are, to compare with what is wanted. */
  readonly children: readonly KubeObject[];
};

/** A candidate that is not to be made yet, because its golden set could not be frozen. */
export type Held = { readonly revision: Revision; readonly trouble: Trouble };

/** What is known to be frozen of each revision (operator/golden/golden-set.ts). */
export type KnownFrozen = ReadonlyMap<
  Revision,
  { readonly generation?: number | undefined; readonly golden?: FrozenGolden | undefined }
>;

/** What a pass adds to what it observed. */
export type SeenParts = {
  /** Of every revision that is remembered. */
  readonly records: ReadonlyMap<Revision, RevisionRecord>;
  readonly held?: Held | undefined;
  /** Of candidates. */
  readonly checks: Readonly<Record<Revision, Checks>>;
  readonly gates?: GateReading | undefined;
};

/** Everything that a pass decides on. */
export type Seen = Observed & { readonly held?: Revision };

/** The records with the tokens and golden sets of their revisions. */
export function wholeRecords(
  { records }: Pick<Observed, 'records'>,
  tokens: ReadonlyMap<Revision, string>,
  frozen: KnownFrozen,
): ReadonlyMap<Revision, RevisionRecord> {
  return new Map(
    [...records].map(([revision, record]) => [
      revision,
      { ...record, token: tokens.get(revision) ?? '', ...present(frozen.get(revision) ?? {}) },
    ]),
  );
}

export function seenOf(observed: Observed, { records, held, checks, gates }: SeenParts): Seen {
  const pods = Object.fromEntries(
    Object.entries(observed.rollout.pods).map(([revision, facts]) => [
      revision,
      withParts(facts, { checks: checks[revision], trouble: held?.revision === revision ? held.trouble : undefined }),
    ]),
  );
  return {
    ...observed,
    records,
    rollout: { ...observed.rollout, pods, ...present({ gates }) },
    ...present({ held: held?.revision }),
  };
}

/** Trouble of the pods themselves comes first. */
function withParts(
  facts: RevisionPods,
  { checks, trouble }: { readonly checks: Checks | undefined; readonly trouble: Trouble | undefined },
): RevisionPods {
  return { ...facts, ...present({ checks, trouble: facts.trouble ?? trouble }) };
}

/** What the process remembers of the passes before. */
export type Before = {
  readonly failure?: ApplyFailure;
  /** How often in the last ten minutes somebody else's weights were put back. */
  readonly reverts: number;
};

/** The latest report of each pod, by uid. Absent: no information. */
export type Reports = (uid: string) => Report | undefined;
