/**
 * Watches every resource type that the operator reads, and maps each change to the keys of the models it affects.
 *
 * Terms: A child is an object that the operator makes for a model. A reflector keeps a cache equal to one type of
 * objects by list and watch. A shard is the part of the models that one of several operators handles.
 * Owns: one reflector per type, the index by model, and the map from object to model key (`namespace/name`). Children
 * are selected by the managed-by label, so that the caches hold only the operator's objects. Gateways are not children;
 * the operator reads their addresses. Objects of other shards are dropped before they reach a cache. Every shard keeps
 * all Gateways, because there are few and they do not belong to a model.
 */
import { fieldManager, labels } from '../api/names.ts';
import type { OnnxModel } from '../api/onnxmodel.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { Registry } from '../lib/metrics.ts';
import {
  configMaps,
  controllerRevisions,
  deployments,
  gateways,
  httpRoutes,
  onnxModels,
  pods,
  services,
} from '../kube/kinds.ts';
import type { ConfigMap, ControllerRevision, Deployment, Gateway, HttpRoute, Pod, Service } from '../kube/kinds.ts';
import type { Change } from '../kube/cache/cache.ts';
import { keyOf, type KubeObject, type ObjectName } from '../api/kube-object.ts';
import type { KubeClient } from '../kube/client/kube-client.ts';
import type { Priority } from '../kube/controller/fair-queue.ts';
import { Reflector, type ReflectorDeps } from '../kube/cache/reflector.ts';
import type { ResourceType } from '../kube/client/resource-type.ts';
import type { Caches } from './see/seen.ts';
import { KeptObjects } from './reconcile/kept-objects.ts';
import { podPriority } from './priority.ts';
import { isInShard, type Shard } from '../kube/controller/shard.ts';
import { OptionalWatch, type TypePresence } from '../kube/cache/optional-watch.ts';

export type ModelWatchDeps = {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly namespace?: string;
  /** The caches keep only models of this shard, and their children. If absent, they keep all models. */
  readonly shard?: Shard;
  /**
   * Called with the key of each model that a change affects. `atLeast`: the minimum priority of the model's pass. It is
   * set if the change can make the pass more urgent than the model's status does.
   */
  readonly onChange: (key: string, atLeast?: Priority) => void;
};

const byModel = 'model';

type PriorityOfChange<T> = (change: Change<T>, model: OnnxModel | undefined) => Priority;

export class ModelWatches implements Caches {
  readonly kept = new KeptObjects();
  readonly #deps: ModelWatchDeps;
  readonly #models: Reflector<OnnxModel>;
  readonly #pods: Reflector<Pod>;
  readonly #deployments: Reflector<Deployment>;
  readonly #services: Reflector<Service>;
  readonly #configMaps: Reflector<ConfigMap>;
  readonly #controllerRevisions: Reflector<ControllerRevision>;
  readonly #httpRoutes: OptionalWatch<HttpRoute>;
  readonly #gateways: OptionalWatch<Gateway>;

  constructor(deps: ModelWatchDeps) {
    this.#deps = deps;
    const { kept } = this;
    this.#models = new Reflector({
      ...scopeOf(deps),
      ...this.#keeping<OnnxModel>((model) => [keyOf(model.metadata)]),
      type: onnxModels,
      transform: kept.model,
    });
    this.#models.cache.subscribe((change) => this.#tell(change, (model) => [keyOf(model.metadata)]));
    this.#pods = this.#children(pods, kept.pod, podPriority);
    this.#deployments = this.#children(deployments, kept.deployment);
    this.#services = this.#children(services, kept.service);
    this.#configMaps = this.#children(configMaps, kept.child);
    this.#controllerRevisions = this.#children(controllerRevisions, kept.controllerRevision);
    const tellRouted = (): void => this.#tellRouted(() => true);
    this.#httpRoutes = new OptionalWatch(
      { ...this.#scopeOfChildren(), transform: kept.child, type: httpRoutes },
      tellRouted,
    );
    this.#httpRoutes.cache.subscribe((change) => this.#tell(change, modelKeysOf));
    this.#gateways = new OptionalWatch({ ...scopeOf(deps), transform: kept.gateway, type: gateways }, tellRouted);
    this.#gateways.cache.subscribe((change) =>
      this.#tellRouted((name) => name === ('now' in change ? change.now : change.before).metadata.name),
    );
  }

  /** Watches until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all().map((reflector) => reflector.run(signal)));
  }

  /** Resolves when every cache holds the complete initial list. */
  async whenSynced(): Promise<void> {
    await Promise.all(this.#all().map((reflector) => reflector.whenSynced()));
  }

  get synced(): boolean {
    return this.#all().every((reflector) => reflector.synced);
  }

  /** Milliseconds since the last message of the watch that has been silent the longest. */
  get silentMs(): number {
    return Math.max(...this.#all().map((reflector) => reflector.silentMs));
  }

  model(key: string): OnnxModel | undefined {
    return this.#models.cache.get(key);
  }

  pods(key: string): readonly Pod[] {
    return this.#pods.cache.byIndex(byModel, key);
  }

  deployments(key: string): readonly Deployment[] {
    return this.#deployments.cache.byIndex(byModel, key);
  }

  services(key: string): readonly Service[] {
    return this.#services.cache.byIndex(byModel, key);
  }

  configMaps(key: string): readonly ConfigMap[] {
    return this.#configMaps.cache.byIndex(byModel, key);
  }

  controllerRevisions(key: string): readonly ControllerRevision[] {
    return this.#controllerRevisions.cache.byIndex(byModel, key);
  }

  get gatewayApi(): TypePresence {
    return this.#httpRoutes.presence;
  }

  httpRoutes(key: string): readonly HttpRoute[] {
    return this.#httpRoutes.presence === 'Served' ? this.#httpRoutes.cache.byIndex(byModel, key) : [];
  }

  gateway(name: ObjectName): Gateway | undefined {
    return this.#gateways.presence === 'Served' ? this.#gateways.cache.get(keyOf(name)) : undefined;
  }

  #all(): readonly Pick<Reflector<KubeObject>, 'run' | 'whenSynced' | 'synced' | 'silentMs'>[] {
    return [
      this.#models,
      this.#pods,
      this.#deployments,
      this.#services,
      this.#configMaps,
      this.#controllerRevisions,
      this.#httpRoutes,
      this.#gateways,
    ];
  }

  #children<T extends KubeObject>(
    type: ResourceType<T>,
    transform: (object: T, before: T | undefined) => T,
    priorityOf?: PriorityOfChange<T>,
  ): Reflector<T> {
    const reflector = new Reflector({ ...this.#scopeOfChildren<T>(), transform, type });
    reflector.cache.subscribe((change) => this.#tell(change, modelKeysOf, priorityOf));
    return reflector;
  }

  #scopeOfChildren<T extends KubeObject>(): Omit<ReflectorDeps<T>, 'type'> {
    return {
      ...scopeOf(this.#deps),
      ...this.#keeping<T>(modelKeysOf),
      labelSelector: `${labels.managedBy}=${fieldManager}`,
      indexes: { [byModel]: (object) => modelKeysOf(object) },
    };
  }

  /** The option `keep` of a reflector that keeps only objects of this shard; empty when there is one shard. */
  #keeping<T extends KubeObject>(keysOf: (object: T) => readonly string[]): Pick<ReflectorDeps<T>, 'keep'> {
    const { shard } = this.#deps;
    if (shard === undefined || shard.of === 1) return {};
    return { keep: (object) => keysOf(object).some((key) => isInShard(shard, key)) };
  }

  /** Reports each model with a Gateway in its parentRefs whose name passes `isMeant`. */
  #tellRouted(isMeant: (gateway: string) => boolean): void {
    for (const model of this.#models.cache.list()) {
      if (model.spec.traffic?.parentRefs?.some(({ name }) => isMeant(name)) === true)
        this.#deps.onChange(keyOf(model.metadata));
    }
  }

  /**
   * Reports the model of a changed object. If the model label of the object changed, reports the old and the new model.
   */
  #tell<T extends KubeObject>(
    change: Change<T>,
    keysOf: (object: T) => readonly string[],
    priorityOf?: PriorityOfChange<T>,
  ): void {
    const keys = [...('before' in change ? keysOf(change.before) : []), ...('now' in change ? keysOf(change.now) : [])];
    for (const key of new Set(keys)) this.#deps.onChange(key, priorityOf?.(change, this.model(key)));
  }
}

function scopeOf({ client, clock, registry, logger, namespace }: ModelWatchDeps): Omit<ModelWatchDeps, 'onChange'> {
  return { client, clock, registry, logger, ...(namespace === undefined ? {} : { namespace }) };
}

function modelKeysOf(object: KubeObject): readonly string[] {
  const name = object.metadata.labels?.[labels.model];
  return name === undefined
    ? []
    : [keyOf({ name, ...(object.metadata.namespace === undefined ? {} : { namespace: object.metadata.namespace }) })];
}
