/**
 * The gateway controller of local mode (a Kubernetes cluster in one process): serves the Gateways of its classes and
 * writes their statuses.
 * Owns: a snapshot of classes, Gateways, routes and Services, which is small and is rebuilt after each change; the
 * Service that provides a Gateway's address; and every status of the Gateway API.
 * Rule: the status of a route contains a new observedGeneration only after the rules of that generation are in effect.
 */
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import type { NewObject, Objects, ResourcePath, StoredObject } from '../objects.ts';
import { ServiceSlices } from '../router/service-slices.ts';
import { startController, type WorkloadController } from '../workloads/controller.ts';
import { toApiTime } from '../../api/conditions.ts';
import { gatewayNameLabel, servicesPath, type StoredService } from '../workloads/resources.ts';
import { attach, problemOf, resolveRefs, type Attachment, type AttachVerdict } from './attach.ts';
import { bindRetryMs, Listeners, type ListenAddress } from './listeners.ts';
import type { RouteEntry } from './match.ts';
import {
  conditionsOf,
  controllerName,
  gatewayClassesPath,
  gatewaysPath,
  httpRoutesPath,
  installGatewayApi,
  type GatewayCondition,
  type StoredGateway,
  type GatewayClass,
  type StoredHttpRoute,
  type Listener,
  type ListenerStatus,
  type RouteParentRef,
} from './resources.ts';

export type GatewayDeps = {
  readonly objects: Objects;
  readonly slices: ServiceSlices;
  readonly clock: Clock;
  readonly logger: Logger;
};

const whole = [{ namespace: '', name: 'gateways' }] as const;
type Attached = { readonly gateway: StoredGateway; readonly route: StoredHttpRoute; readonly attachment: Attachment };

export class GatewayController {
  readonly #objects: Objects;
  readonly #clock: Clock;
  readonly #listeners: Listeners;
  readonly #controller: WorkloadController;

  constructor(deps: GatewayDeps) {
    const { objects, slices, clock } = deps;
    this.#objects = objects;
    this.#clock = clock;
    installGatewayApi(objects);
    this.#listeners = new Listeners({ objects, slices, clock, onChange: () => this.#controller.enqueue(whole[0]) });
    this.#controller = startController({
      name: 'gateway',
      ...deps,
      watches: [gatewayClassesPath, gatewaysPath, httpRoutesPath, servicesPath].map((type) => ({
        type,
        keys: () => whole,
      })),
      sync: () => this.#sync(),
    });
  }

  async close(): Promise<void> {
    this.#controller.close();
    await this.#listeners.close();
  }

  #sync(): number | undefined {
    const ours = this.#acceptClasses();
    const mine = this.#list<StoredGateway>(gatewaysPath).filter(
      (gateway) => ours.has(gateway.spec.gatewayClassName) && gateway.metadata.deletionTimestamp === undefined,
    );
    const routes = this.#list<StoredHttpRoute>(httpRoutesPath).filter(
      (route) => route.metadata.deletionTimestamp === undefined,
    );
    const attached = mine.flatMap((gateway) =>
      routes.flatMap((route) =>
        parentsOf(route, gateway).map((parentRef) => ({
          gateway,
          route,
          attachment: attach(route, parentRef, gateway),
        })),
      ),
    );
    const doors = new Map<string, ListenAddress & { readonly entries: readonly RouteEntry[] }>();
    for (const gateway of mine) {
      const host = this.#addressOf(gateway);
      for (const [port, listeners] of Map.groupBy(gateway.spec.listeners, (listener) => listener.port)) {
        const entries = listeners.flatMap((listener) => this.#entriesOf(gateway, listener, attached));
        doors.set(doorOf(gateway, port), { host, port, entries });
      }
    }
    this.#listeners.set(doors);
    for (const gateway of mine) this.#tellGateway(gateway, attached);
    for (const route of routes)
      this.#tellRoute(
        route,
        attached.filter((one) => one.route === route),
      );
    return [...doors.keys()].some((id) => typeof this.#listeners.stateOf(id) === 'object') ? bindRetryMs : undefined;
  }

  #list<T>(type: ResourcePath): readonly T[] {
    return this.#objects.list(type) as readonly T[];
  }

  /** Sets the status of the classes. @returns the names of the classes that this controller serves */
  #acceptClasses(): ReadonlySet<string> {
    const mine = this.#list<GatewayClass>(gatewayClassesPath).filter(
      ({ spec }) => spec.controllerName === controllerName,
    );
    for (const one of mine) {
      const conditions = this.#conditions(one, one.status?.conditions, [
        { type: 'Accepted', ok: true, reason: 'Accepted', message: 'local mode serves its Gateways' },
      ]);
      this.#objects.updateStatus(gatewayClassesPath, { ...one, status: { ...one.status, conditions } });
    }
    return new Set(mine.map(({ metadata }) => metadata.name));
  }

  /**
   * The address of a Gateway: the ClusterIP of a Service without pods. This function creates and updates the Service.
   */
  #addressOf({ metadata: { name, namespace = '', uid }, spec }: StoredGateway): string {
    const ports = [...new Set(spec.listeners.map(({ port }) => port))].map((port) => ({
      name: `http-${port}`,
      port,
      protocol: 'TCP',
    }));
    const ref = { ...servicesPath, namespace, name: `${name}-gateway` };
    const stored = this.#objects.get(ref) as StoredService | undefined;
    if (stored === undefined) {
      const owner = {
        apiVersion: gatewaysPath.apiVersion,
        kind: 'Gateway',
        name,
        uid,
        controller: true,
        blockOwnerDeletion: true,
      };
      const made: NewObject = {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: ref.name, namespace, labels: { [gatewayNameLabel]: name }, ownerReferences: [owner] },
        spec: { ports },
      };
      return (this.#objects.create(servicesPath, made) as StoredService).spec.clusterIP ?? '';
    }
    const isSame =
      stored.spec.ports?.length === ports.length &&
      ports.every(({ port }) => stored.spec.ports?.some((one) => one.port === port));
    if (!isSame) this.#objects.update(servicesPath, { ...stored, spec: { ...stored.spec, ports } } as StoredService);
    return stored.spec.clusterIP ?? '';
  }

  #entriesOf(gateway: StoredGateway, listener: Listener, attached: readonly Attached[]): readonly RouteEntry[] {
    return attached.flatMap(({ gateway: its, route, attachment }) => {
      const here = its === gateway ? attachment.listeners.find(({ name }) => name === listener.name) : undefined;
      return here === undefined
        ? []
        : (route.spec.rules ?? []).map((rule) => this.#entryOf(route, rule, here.hostnames));
    });
  }

  #entryOf(
    route: StoredHttpRoute,
    { matches = [], backendRefs = [] }: NonNullable<StoredHttpRoute['spec']['rules']>[number],
    hostnames: readonly string[] | undefined,
  ): RouteEntry {
    const { name, namespace = '', creationTimestamp } = route.metadata;
    return {
      hostnames,
      paths:
        matches.length === 0
          ? [{ type: 'PathPrefix', value: '/' }]
          : matches.map(({ path }) => path ?? { type: 'PathPrefix', value: '/' }),
      backends: backendRefs.map((ref) => ({
        namespace,
        name: ref.name,
        weight: ref.weight,
        usable: problemOf(ref, route, this.#serviceOf) === undefined,
        ...(ref.port === undefined ? {} : { port: ref.port }),
      })),
      order: `${creationTimestamp} ${namespace}/${name}`,
    };
  }

  readonly #serviceOf = (namespace: string, name: string): StoredService | undefined =>
    this.#objects.get({ ...servicesPath, namespace, name }) as StoredService | undefined;

  #tellGateway(gateway: StoredGateway, attached: readonly Attached[]): void {
    const listeners = gateway.spec.listeners.map((listener): ListenerStatus => {
      const before = gateway.status?.listeners?.find(({ name }) => name === listener.name);
      return {
        name: listener.name,
        supportedKinds: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute' }],
        attachedRoutes: new Set(
          attached
            .filter(
              (one) => one.gateway === gateway && one.attachment.listeners.some(({ name }) => name === listener.name),
            )
            .map(({ route }) => route),
        ).size,
        conditions: this.#conditions(gateway, before?.conditions, [
          accepted,
          this.#programmed(gateway, [listener]),
          { type: 'ResolvedRefs', ok: true, reason: 'ResolvedRefs', message: '' },
        ]),
      };
    });
    const conditions = this.#conditions(gateway, gateway.status?.conditions, [
      accepted,
      this.#programmed(gateway, gateway.spec.listeners),
    ]);
    const addresses = [{ type: 'IPAddress', value: this.#addressOf(gateway) }];
    this.#objects.updateStatus(gatewaysPath, { ...gateway, status: { addresses, conditions, listeners } });
  }

  #programmed(gateway: StoredGateway, listeners: readonly Listener[]): AttachVerdict & { readonly type: string } {
    const states = listeners.map(({ port }) => this.#listeners.stateOf(doorOf(gateway, port)));
    const failed = states.find((state) => typeof state === 'object');
    if (failed !== undefined)
      return { type: 'Programmed', ok: false, reason: 'AddressNotUsable', message: failed.problem };
    if (states.includes('Opening'))
      return { type: 'Programmed', ok: false, reason: 'Pending', message: "the Gateway's ports are being opened" };
    return { type: 'Programmed', ok: true, reason: 'Programmed', message: 'the Gateway accepts requests' };
  }

  #tellRoute(route: StoredHttpRoute, mine: readonly Attached[]): void {
    const before = route.status?.parents ?? [];
    const others = before.filter((parent) => parent.controllerName !== controllerName);
    const resolved = { type: 'ResolvedRefs', ...resolveRefs(route, this.#serviceOf) };
    const parents = mine.map(({ attachment: { parentRef, accepted: verdict } }) => {
      const known = before.find(
        (parent) => parent.controllerName === controllerName && isSame(parent.parentRef, parentRef),
      );
      return {
        parentRef,
        controllerName,
        conditions: this.#conditions(route, known?.conditions, [{ type: 'Accepted', ...verdict }, resolved]),
      };
    });
    if (before.length + parents.length === 0) return;
    this.#objects.updateStatus(httpRoutesPath, { ...route, status: { parents: [...others, ...parents] } });
  }

  #conditions(
    { metadata }: Pick<StoredObject, 'metadata'>,
    before: readonly GatewayCondition[] | undefined,
    verdicts: readonly (AttachVerdict & { readonly type: string })[],
  ): readonly GatewayCondition[] {
    const claims = verdicts.map(({ type, ok, reason, message }) => ({
      type,
      status: ok ? ('True' as const) : ('False' as const),
      reason,
      message,
    }));
    return conditionsOf(before, claims, { generation: metadata.generation, now: toApiTime(this.#clock.now()) });
  }
}

const accepted = { type: 'Accepted', ok: true, reason: 'Accepted', message: 'local mode serves it' } as const;

function parentsOf(route: StoredHttpRoute, { metadata }: StoredGateway): readonly RouteParentRef[] {
  return (route.spec.parentRefs ?? []).filter(
    (ref) =>
      ref.group === 'gateway.networking.k8s.io' &&
      ref.kind === 'Gateway' &&
      ref.name === metadata.name &&
      (ref.namespace ?? route.metadata.namespace) === metadata.namespace,
  );
}

function isSame(a: RouteParentRef, b: RouteParentRef): boolean {
  return a.namespace === b.namespace && a.name === b.name && a.sectionName === b.sectionName && a.port === b.port;
}

function doorOf({ metadata }: StoredGateway, port: number): string {
  return `${metadata.namespace}/${metadata.name}:${port}`;
}
