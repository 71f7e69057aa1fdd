/**
 * The set-up for stories of rollouts: a cluster in memory, the operator, and gates with scripted results. It writes a
 * line for every change that a user would see. A gate limits one measure of a new revision (the candidate); a pass is
 * one run of the operator for a model.
 */
import assert from 'node:assert/strict';
import { labels } from '../../api/names.ts';
import type { OnnxModelSpec, OnnxModelStatus } from '../../api/onnxmodel.ts';
import type { Gates } from '../../operator/gates/gatekeeper.ts';
import type { ConfigMap, ControllerRevision, Deployment, HttpRoute, Pod, Service } from '../../kube/kinds.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { Caches } from '../../operator/see/seen.ts';
import type { Reconciler } from '../../operator/reconcile/reconcile.ts';
import type { GateReading } from '../../operator/rollout/state.ts';
import { FakeCluster } from './fake-cluster.ts';
import { operatorOf } from './operator-of.ts';
import { HandClock } from './hand-clock.ts';

type Said = Partial<Omit<GateReading, 'window' | 'silent'>>;
type Intents = Partial<NonNullable<OnnxModelSpec['rollout']>>;

export class Stage {
  readonly cluster = new FakeCluster(new HandClock());
  readonly lines: string[] = [];
  /** What the gates report for any window. Undefined: the gates report nothing. */
  gates: Said | undefined = { step: 'Waiting', message: '120 of 200 requests' };
  /** Whether the gates treat the candidate's pods as silent: without recent reports. */
  isSilent = false;
  #operator: Reconciler;
  readonly #names = new Map<string, string>();
  #atS = 0;
  #last = '';

  readonly #isBehind: (() => boolean) | undefined;
  /** The cluster's objects as they were before this step. A cache that is behind still contains these objects. */
  #before: ReadonlyMap<string, KubeObject> = new Map();

  /** @param isBehind called for each read of a cache; true: the read returns the previous state */
  constructor(isBehind?: () => boolean) {
    this.#isBehind = isBehind;
    this.#operator = this.#begin();
  }

  get status(): OnnxModelStatus {
    return this.cluster.status;
  }

  say(line: string): void {
    this.lines.push(`# ${line}`);
  }

  apply(spec: OnnxModelSpec): void {
    const held =
      (this.cluster.objects.get('OnnxModel/ranker') as { spec?: OnnxModelSpec } | undefined)?.spec?.rollout ?? {};
    const { paused, abortRevision, promoteRevision, pinRevision, retryToken, resumeStep } = held;
    const intents = JSON.parse(
      JSON.stringify({ paused, abortRevision, promoteRevision, pinRevision, retryToken, resumeStep }),
    ) as Intents;
    const rollout = { ...spec.rollout, ...intents };
    this.cluster.put(Object.keys(rollout).length === 0 ? spec : { ...spec, rollout });
    this.#last = '';
  }

  /** Changes the spec as a command of kubectl-onnx would. */
  intend(intents: (status: OnnxModelStatus) => Intents, without: readonly (keyof Intents)[] = []): void {
    const { spec } = this.cluster.caches.model('ml/ranker') ?? assert.fail('no model');
    const rollout = Object.fromEntries(
      Object.entries({ ...spec.rollout, ...intents(this.status) }).filter(
        ([field]) => !without.includes(field as keyof Intents),
      ),
    );
    this.cluster.put({ ...spec, rollout });
  }

  /** Replaces the operator by a new process without in-memory state. */
  restart(): void {
    this.#operator = this.#begin();
  }

  /**
   * Advances five seconds. Other controllers make progress, and the operator runs several passes, because in a cluster
   * each write triggers another pass.
   */
  async step(): Promise<void> {
    this.#before = new Map(this.cluster.objects);
    this.cluster.tick();
    for (let pass = 0; pass < 3; pass += 1) {
      // A pass that throws simulates a crash, so replace the process.
      await this.#operator.reconcile('ml/ranker').catch(() => this.restart());
      this.#assertInvariants();
    }
    const line = this.#describe();
    if (line !== this.#last) this.lines.push(`${String(this.#atS).padStart(4)}s  ${line}`);
    this.#last = line;
    this.#atS += 5;
    await this.cluster.clock.advance(5000);
  }

  #begin(): Reconciler {
    const { client, clock } = this.cluster;
    const caches = this.#caches();
    return operatorOf(this.cluster, { client, caches, clock, gates: this.#gates() });
  }

  #caches(): Caches {
    const { caches } = this.cluster;
    const of = <T extends KubeObject>(kind: string): readonly T[] =>
      [...(this.#isBehind?.() === true ? this.#before : this.cluster.objects).values()].filter(
        (object) => object.kind === kind,
      ) as unknown as readonly T[];
    return {
      ...caches,
      pods: () => of<Pod>('Pod'),
      deployments: () => of<Deployment>('Deployment'),
      services: () => of<Service>('Service'),
      httpRoutes: () => of<HttpRoute>('HTTPRoute'),
      configMaps: () => of<ConfigMap>('ConfigMap'),
      controllerRevisions: () => of<ControllerRevision>('ControllerRevision'),
    };
  }

  #gates(): Gates {
    return {
      judge: (_key, { memory }) => {
        if (this.gates === undefined || !('window' in memory) || memory.window === 0) return undefined;
        return {
          reading: {
            window: memory.window,
            step: 'Waiting',
            absolute: 'None',
            message: '',
            ...this.gates,
            silent: this.isSilent ? [memory.candidate] : [],
          },
        };
      },
      children: () => [],
      forget: () => {},
    };
  }

  /** The percentage of the traffic of each revision, as the route or the entry Service gives it. */
  shares(): ReadonlyMap<string, number> {
    const route = this.cluster.objects.get('HTTPRoute/ranker') as HttpRoute | undefined;
    return route === undefined
      ? this.#sharesByPods()
      : new Map(
          (route.spec?.rules?.[0]?.backendRefs ?? []).flatMap(({ name, weight = 1 }) =>
            weight > 0 ? [[name.slice('ranker-'.length), weight] as const] : [],
          ),
        );
  }

  #sharesByPods(): ReadonlyMap<string, number> {
    const selector = (this.cluster.objects.get('Service/ranker') as Service | undefined)?.spec?.selector ?? {};
    const chosen = selector[labels.revision];
    if (chosen !== undefined) return new Map([[chosen, 100]]);
    if (selector[labels.serving] === undefined) return new Map();
    const marked = this.cluster
      .of<Pod>('Pod')
      .filter((pod) => pod.metadata.labels?.[labels.serving] !== undefined && isReady(pod))
      .map(revisionOf);
    return new Map(
      [...new Set(marked)].map((revision) => [
        revision,
        Math.round((100 * marked.filter((one) => one === revision).length) / marked.length),
      ]),
    );
  }

  /**
   * Checks that exactly one of the conditions Ready, Reconciling and Stalled is True. In Analyzing and Paused, also
   * checks that no revision without ready pods shares the traffic with a revision that has ready pods.
   */
  #assertInvariants(): void {
    const { status } = this.cluster;
    if (status?.conditions === undefined) return;
    const truths = status.conditions
      .filter((condition) => condition.status === 'True')
      .map((condition) => condition.type);
    assert.ok(
      ['Ready', 'Reconciling', 'Stalled'].filter((type) => truths.includes(type)).length === 1,
      `conditions ${truths.join(', ')}`,
    );
    // Skip the check when caches may be behind: the operator cannot correct a fault that it has not observed yet.
    if (this.#isBehind !== undefined) return;
    const shares = [...this.shares()];
    const dead = shares.filter(([revision]) => this.cluster.readyPods(revision) === 0);
    const living = shares.filter(([revision]) => this.cluster.readyPods(revision) > 0);
    const { phase } = status.rollout ?? {};
    if (phase === 'Analyzing' || phase === 'Paused')
      assert.ok(
        dead.length === 0 || living.length === 0,
        `${dead.map(([revision]) => revision).join(', ')} gets traffic without ready pods`,
      );
  }

  #describe(): string {
    const { status } = this.cluster;
    for (const revision of [status.stable?.revision, status.candidate?.revision]) this.#nameOf(revision);
    const traffic = [...this.shares()].map(([revision, share]) => `${this.#nameOf(revision)} ${share}%`).join(' ');
    const revisions = [...new Set(this.cluster.of<Pod>('Pod').map(revisionOf))];
    const pods = revisions
      .map(
        (revision) =>
          `${this.#nameOf(revision)} ` +
          `${this.cluster.readyPods(revision)}/` +
          `${this.cluster.of<Pod>('Pod').filter((pod) => revisionOf(pod) === revision).length}`,
      )
      .join(' ');
    const truths = (status.conditions ?? [])
      .filter(
        ({ type, status: truth }) =>
          ['Ready', 'Reconciling', 'Stalled', 'Available', 'Paused'].includes(type) && truth === 'True',
      )
      .map(({ type }) => type);
    const text =
      `${(status.phase ?? '').padEnd(9)} ${(traffic || 'none').padEnd(13)} pods ${pods.padEnd(13)} ` +
      `[${truths.join(',')}] ${status.rollout?.reason}: ${status.message}`;
    return [...this.#names].reduce((line, [revision, name]) => line.replaceAll(revision, name), text);
  }

  #nameOf(revision: string | undefined): string {
    if (revision === undefined) return '-';
    const name = this.#names.get(revision) ?? `v${this.#names.size + 1}`;
    this.#names.set(revision, name);
    return name;
  }
}

function isReady(pod: Pod): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false
  );
}

function revisionOf(pod: Pod): string {
  return pod.metadata.labels?.[labels.revision] ?? '';
}
