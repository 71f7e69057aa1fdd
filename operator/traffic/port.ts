/**
 * The interface of a router. A router shares the traffic of a model between two revisions.
 *
 * Owns: the types. The routers are in by-pods.ts and http-route.ts, and the table that chooses one is in router.ts.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { TypePresence } from '../../kube/cache/optional-watch.ts';
import type { ObjectName } from '../../api/kube-object.ts';
import type { Gateway, HttpRoute, Pod, Service } from '../../kube/kinds.ts';
import type { Manifest } from '../resources/objects.ts';
import type { RevisionAddress } from '../resources/services.ts';
import type { Decision, Revision, TrafficSeen } from '../rollout/state.ts';

/** The observed data that a router reads. */
export type TrafficSources = {
  readonly model: OnnxModel;
  readonly entry: Service | undefined;
  readonly route: HttpRoute | undefined;
  /** All Services of the model. If absent, the Services are assumed to be as the operator wrote them. */
  readonly services?: readonly Service[] | undefined;
  readonly gatewayApi: TypePresence;
  /** Pods that are not being deleted, by revision. */
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
};

export type TrafficFacts = Omit<TrafficSeen, 'reverts'>;

/** A decision under which a revision serves. */
export type ServedDecision = Pick<Decision, 'next' | 'canary'> & { readonly serve: Revision };

/** What a router needs to find the address of a model. */
export type AddressSources = {
  readonly entry: Service | undefined;
  readonly gatewayOf: (name: ObjectName) => Gateway | undefined;
  /** How clients address an entry Service: local mode has no DNS. */
  readonly style: 'DNS' | 'ClusterIP';
};

/** All methods are pure. How shares, weights and numbers of pods are related is defined in rollout/sharing.ts. */
export interface TrafficRouter {
  /** The subject of messages, as in "the entry Service sends 75% to v1, 25% to v2". */
  readonly subject: string;
  /** Kinds of objects that only this router makes, in addition to the entry Service. */
  readonly kinds: readonly string[];
  /** Whether the Services of revisions need a cluster IP. */
  readonly revisionAddress: RevisionAddress;
  /** Whether objects of `kinds` can be written; false when the cluster does not serve the kinds. */
  isWritable(gatewayApi: TypePresence): boolean;
  /**
   * The objects that share the traffic as decided.
   *
   * @param reachable revisions that have a Service
   */
  manifests(model: OnnxModel, decision: ServedDecision, reachable: readonly Revision[]): readonly Manifest[];
  /**
   * The revisions whose ready pods get the serving label, so that they share the traffic. Empty if no pod needs the
   * label.
   */
  marked(decision: Decision): readonly Revision[];
  /** @returns undefined while no revision serves yet */
  shares(sources: TrafficSources): TrafficFacts | undefined;
  /** Why clients cannot reach any pod. Undefined if clients can reach a pod, or if the router does not know. */
  outage(traffic: TrafficSeen | undefined): string | undefined;
  /** The address that clients send requests to; undefined while it is not known. */
  url(model: OnnxModel, sources: AddressSources): string | undefined;
}
