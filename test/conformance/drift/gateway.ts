/**
 * Plays a gateway controller: it programs one Gateway and accepts every route at its generation.
 * Owns: the Gateway and the routes' statuses. It forwards no requests.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Json, KubeApi, Watch } from '../kube/api.ts';

const apiVersion = 'gateway.networking.k8s.io/v1';
const controllerName = 'drift.example.com/gateways';
const lookMs = 10;

export class GatewayPart {
  readonly #api: KubeApi;
  readonly #namespace: string;
  readonly #name: string;
  #watch: Watch | undefined;
  #following: Promise<void> | undefined;
  #isClosed = false;

  constructor(api: KubeApi, namespace: string, name: string) {
    this.#api = api;
    this.#namespace = namespace;
    this.#name = name;
  }

  async open(): Promise<void> {
    const listeners = [{ name: 'http', protocol: 'HTTP', port: 80, allowedRoutes: { namespaces: { from: 'Same' } } }];
    const gateway = {
      apiVersion,
      kind: 'Gateway',
      metadata: { name: this.#name },
      spec: { gatewayClassName: 'drift', listeners },
    };
    const made = await this.#api.post(this.#path('gateways'), gateway);
    if (made.status !== 201) throw new Error(made.text);
    const conditions = conditionsOf(['Accepted', 'Programmed'], 1);
    const supportedKinds = [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute' }];
    const status = {
      addresses: [{ type: 'IPAddress', value: '192.0.2.80' }],
      conditions,
      listeners: [
        {
          name: 'http',
          attachedRoutes: 0,
          supportedKinds,
          conditions: conditionsOf(['Accepted', 'Programmed', 'ResolvedRefs'], 1),
        },
      ],
    };
    const told = await this.#api.patch(
      `${this.#path('gateways')}/${this.#name}/status?fieldManager=gateways`,
      'merge',
      { status },
    );
    if (told.status !== 200) throw new Error(told.text);
    this.#watch = await this.#api.watch(`${this.#path('httproutes')}?watch=true`);
    this.#following = this.#follow(this.#watch);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch?.close();
    await this.#following;
  }

  async #follow({ events }: Watch): Promise<void> {
    for (let seen = 0; !this.#isClosed;) {
      const event = events[seen];
      if (event === undefined) {
        await sleep(lookMs);
        continue;
      }
      seen += 1;
      if (event.type === 'ADDED' || event.type === 'MODIFIED') await this.#accept(event.object);
    }
  }

  /** Sets the status for this Gateway only, because other controllers report on other parents. */
  async #accept({ metadata: { name, generation }, spec, status }: Json): Promise<void> {
    const parents = ((spec.parentRefs ?? []) as Json[]).filter(
      (parent) => parent.name === this.#name && parent.kind === 'Gateway',
    );
    const wanted = parents.map((parentRef) => ({
      parentRef,
      controllerName,
      conditions: conditionsOf(['Accepted', 'ResolvedRefs'], generation),
    }));
    if (JSON.stringify(status?.parents?.map(meaningOf)) === JSON.stringify(wanted.map(meaningOf))) return;
    await this.#api.patch(`${this.#path('httproutes')}/${name}/status?fieldManager=gateways`, 'merge', {
      status: { parents: wanted },
    });
  }

  #path(plural: string): string {
    return `/apis/${apiVersion}/namespaces/${this.#namespace}/${plural}`;
  }
}

function conditionsOf(types: readonly string[], observedGeneration: number): readonly object[] {
  return types.map((type) => ({
    type,
    status: 'True',
    reason: type,
    message: '',
    observedGeneration,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  }));
}

/** The fields of a parent's status that show whether the status is up to date, in a fixed order. */
function meaningOf({ parentRef, conditions }: Json): readonly unknown[] {
  const { group, kind, namespace, name, sectionName, port } = parentRef;
  return [
    group,
    kind,
    namespace,
    name,
    sectionName,
    port,
    conditions.map((one: Json) => [one.type, one.observedGeneration]),
  ];
}
