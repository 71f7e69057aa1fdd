/**
 * The port of a router: what the operator asks of whatever shares the traffic of a model.
 *
 * Owns:  the types. The routers are by-pods.ts and http-route.ts; router.ts has the table that chooses one.
 */
import type { OnnxModel } from '../../api/onnxmodel.ts';
import type { TypePresence } from '../../kube/cache/optional-watch.ts';
import type { ObjectName } from '../../kube/client/object.ts';
import type { Gateway, HttpRoute, Pod, Service } from '../../kube/kinds.ts';
import type { Manifest } from '../resources/objects.ts';
import type { Decision, Revision, TrafficSeen } from '../rollout/state.ts';

/** What a router reads. */
export type TrafficSources = {
  readonly model: OnnxModel;
  readonly entry: Service | undefined;
  readonly route: HttpRoute | undefined;
  /** All of the model's; absent: they are as they should be. */
  readonly services?: readonly Service[] | undefined;
  readonly gatewayApi: TypePresence;
  /** Pods that are not going away, by revision. */
  readonly pods: ReadonlyMap<Revision, readonly Pod[]>;
};

export type TrafficFacts = Omit<TrafficSeen, 'reverts'>;

/** A decision under which a revision serves. */
export type ServedDecision = Pick<Decision, 'next' | 'canary'> & { readonly serve: Revision };

/** Where the address of a model is found. */
export type AddressSources = {
  readonly entry: Service | undefined;
  readonly gatewayOf: (name: ObjectName) => Gateway | undefined;
  /** How an entry Service is named: local mode has no DNS. */
  readonly style: 'DNS' | 'ClusterIP';
};

/** Pure functions of their arguments, all of them. How shares, weights and pods belong together: rollout/sharing.ts. */
export interface TrafficRouter {
  /** What gives the traffic, as in "the entry Service gives a 75%, b 25%". */
  readonly subject: string;
  /** Kinds of children that this router alone makes, beside the entry Service. */
  readonly kinds: readonly string[];
  /** Whether objects of `kinds` can be written: the cluster may not have them. */
  isWritable(gatewayApi: TypePresence): boolean;
  /**
   * What moves the traffic.
   *
   * @param reachable revisions that have a Service
   */
  manifests(model: OnnxModel, decision: ServedDecision, reachable: readonly Revision[]): readonly Manifest[];
  /** Revisions that share the traffic by a mark on their ready pods; empty: no pod is marked. */
  marked(decision: Decision): readonly Revision[];
  /** @returns undefined while nothing serves yet */
  shares(sources: TrafficSources): TrafficFacts | undefined;
  /** Why clients reach no pod at all; undefined: they do, or the router cannot tell. */
  outage(traffic: TrafficSeen | undefined): string | undefined;
  /** Where clients send requests; undefined while it is not known. */
  url(model: OnnxModel, sources: AddressSources): string | undefined;
}
