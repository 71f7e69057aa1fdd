/**
 * The complete input of one pass for one model.
 *
 * Terms: A pass is one reconciliation of a model. A child is an object that the operator makes for a model. A record is
 * what the operator stores of a revision.
 * A golden set is the inputs that a candidate must answer well before it gets traffic; to freeze it is to copy it for
 * one attempt.
 * Owns: the type Seen, the types of its parts, and seenOf, the only function that combines the parts. No other code
 * changes a Seen.
 * Pure.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import type { Report } from '../../api/report.ts';
import type { TypePresence } from '../../kube/cache/optional-watch.ts';
import type { KubeObject, ObjectName } from '../../api/kube-object.ts';
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

/** The operator's caches of cluster objects. `key` is `namespace/name` of a model. */
export interface Caches {
  model(key: string): OnnxModel | undefined;
  /** The pods of a model. These pods and the model's other children are found by the label that names the model. */
  pods(key: string): readonly Pod[];
  deployments(key: string): readonly Deployment[];
  services(key: string): readonly Service[];
  configMaps(key: string): readonly ConfigMap[];
  controllerRevisions(key: string): readonly ControllerRevision[];
  httpRoutes(key: string): readonly HttpRoute[];
  /** Any Gateway of the cluster; Gateways are not children of a model. */
  gateway(name: ObjectName): Gateway | undefined;
  /** Whether the API server serves the type HTTPRoute. */
  readonly gatewayApi: TypePresence;
}

export type Settings = {
  /** The image of a revision whose spec does not name an image. */
  readonly runtimeImage: string;
  readonly settleMs: number;
  /** How `status.address.url` names the entry Service. */
  readonly serviceAddress: 'DNS' | 'ClusterIP';
};

/** A manifest that could not be applied in the previous pass. */
export type ApplyFailure = { readonly revision?: Revision; readonly trouble: Trouble };

/** What `observe` read from the caches about a model. */
export type Observed = {
  readonly model: OnnxModel;
  readonly memory: RolloutState;
  readonly plan: RolloutPlan;
  readonly rollout: Observation;
  /**
   * All stored records, by revision. The revision of the current spec always has an entry: if no record of it is
   * stored, a new one is made.
   */
  readonly records: ReadonlyMap<Revision, RevisionRecord>;
  /** Pods that are not terminating and have not ended, by revision. */
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
  readonly entry: Service | undefined;
  /** The URL for clients; undefined while it is unknown. */
  readonly url: string | undefined;
  /** Whether the API server serves the type HTTPRoute. */
  readonly gatewayApi: TypePresence;
  /** The live children, to compare with the wanted manifests. */
  readonly children: readonly KubeObject[];
};

/** A candidate that is held: its objects are not created yet, because its golden set could not be frozen. */
export type Held = { readonly revision: Revision; readonly trouble: Trouble };

/** The frozen golden set and the generation of each revision, if known (operator/golden/golden-set.ts). */
export type KnownFrozen = ReadonlyMap<
  Revision,
  { readonly generation?: number | undefined; readonly golden?: FrozenGolden | undefined }
>;

/** The parts that a pass adds to the observed data. */
export type SeenParts = {
  /** The record of every known revision. */
  readonly records: ReadonlyMap<Revision, RevisionRecord>;
  readonly held?: Held | undefined;
  /** The results of the checks before traffic, by candidate. */
  readonly checks: Readonly<Record<Revision, Checks>>;
  readonly gates?: GateReading | undefined;
};

/** The complete input of the decision of a pass. */
export type Seen = Observed & { readonly held?: Revision };

/** Adds to each record the token and the frozen golden set of its revision. */
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

/**
 * Adds the checks and the trouble of the golden set to a revision's pods. A problem of the pods takes precedence over a
 * problem of the golden set.
 */
function withParts(
  facts: RevisionPods,
  { checks, trouble }: { readonly checks: Checks | undefined; readonly trouble: Trouble | undefined },
): RevisionPods {
  return { ...facts, ...present({ checks, trouble: facts.trouble ?? trouble }) };
}

/** What the process remembers from previous passes. */
export type Before = {
  readonly failure?: ApplyFailure;
  /** How often in the last ten minutes the operator reverted another client's weights of the route. */
  readonly reverts: number;
};

/** The latest report of a pod, by its uid; undefined when no report is known. */
export type Reports = (uid: string) => Report | undefined;
