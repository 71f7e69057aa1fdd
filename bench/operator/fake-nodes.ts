/**
 * Simulates Kubernetes' Deployment controller, scheduler and kubelets without a cluster: pods are only objects.
 * Owns: the pods of every Deployment, their statuses and addresses, and the status of each Deployment. A pod goes
 * through the stages of `PodStage`. The pod's sidecar answers as soon as the pod is ready.
 * Limits: there are no ReplicaSets. A changed pod template does not replace pods, because the operator never changes
 * the template of an existing Deployment.
 */
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../api/errors.ts';
import { labels, paths } from '../../api/names.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { KubeClient } from '../../kube/client/kube-client.ts';
import { isNotFound } from '../../kube/client/kube-error.ts';
import { keyOf, type KubeObject } from '../../api/kube-object.ts';
import type { Reflector } from '../../kube/cache/reflector.ts';
import { configMaps, deployments, pods, type Deployment } from '../../kube/kinds.ts';
import { systemClock } from '../../lib/clock.ts';
import type { FakeSidecars } from './fake-sidecars.ts';
import { deploymentStatus, podStatus, type PodStage } from './pod-statuses.ts';
import type { RawWrites } from './raw-writes.ts';

export type FakeNodesDeps = {
  readonly client: Pick<KubeClient, 'create' | 'get'>;
  readonly writes: Pick<RawWrites, 'patchStatus' | 'deleteNow'>;
  readonly deployments: Pick<Reflector<Deployment>, 'cache'>;
  readonly sidecars: FakeSidecars;
};

type FakePod = { readonly name: string; readonly namespace: string; ip: string | undefined; stage: PodStage };

/** Milliseconds between the steps of a starting pod. */
const stepMs = 150;
const starting: readonly PodStage[] = ['Initializing', 'Running', 'Ready'];

export class FakeNodes {
  readonly #deps: FakeNodesDeps;
  /** The pods, by the key (namespace and name) of their Deployment. */
  readonly #pods = new Map<string, Set<FakePod>>();
  readonly #statuses = new Map<string, object>();
  readonly #working = new Set<string>();
  readonly #again = new Set<string>();
  #made = 0;
  #closed = false;
  #failure: Error | undefined;

  constructor(deps: FakeNodesDeps) {
    this.#deps = deps;
  }

  /** Handles the existing Deployments, then every Deployment that changes. */
  start(): void {
    this.#deps.deployments.cache.subscribe((change) => {
      this.#work(keyOf(('now' in change ? change.now : change.before).metadata));
    });
  }

  close(): void {
    this.#closed = true;
    this.#deps.sidecars.closeAll();
  }

  get readyPods(): number {
    return [...this.#pods.values()].flatMap((each) => [...each]).filter(({ stage }) => stage === 'Ready').length;
  }

  /** @throws the first error of a write, if a write has failed */
  assertWorking(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Simulates a lost node: `count` ready pods vanish at once, and their Deployments make new pods. */
  async lose(count: number): Promise<void> {
    const ready = [...this.#pods].flatMap(([key, each]) =>
      [...each].flatMap((pod) => (pod.stage === 'Ready' ? [{ key, pod }] : [])),
    );
    await Promise.all(
      ready.slice(0, count).map(async ({ key, pod }) => {
        await this.#remove(key, pod);
        this.#work(key);
      }),
    );
  }

  #work(key: string): void {
    if (this.#closed) return;
    if (this.#working.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#working.add(key);
    void this.#pass(key)
      .catch((error: unknown) => {
        this.#note(error);
      })
      .finally(() => {
        this.#working.delete(key);
        if (this.#again.delete(key)) this.#work(key);
      });
  }

  async #pass(key: string): Promise<void> {
    const deployment = this.#deps.deployments.cache.get(key);
    const mine = this.#pods.get(key) ?? new Set();
    this.#pods.set(key, mine);
    const wanted = deployment?.spec?.replicas ?? 0;
    for (const pod of [...mine].slice(wanted)) await this.#remove(key, pod);
    if (deployment === undefined) {
      this.#pods.delete(key);
      this.#statuses.delete(key);
      return;
    }
    while (mine.size < wanted) mine.add(await this.#create(deployment));
    const status = deploymentStatus(
      deployment,
      [...mine].map(({ stage }) => stage),
    );
    if (isDeepStrictEqual(status, this.#statuses.get(key))) return;
    this.#statuses.set(key, status);
    await this.#deps.writes.patchStatus(deployments, deployment.metadata, status);
  }

  async #create(deployment: Deployment): Promise<FakePod> {
    const { name, namespace = '', uid = '' } = deployment.metadata;
    const { metadata, spec } = templateOf(deployment);
    this.#made += 1;
    const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name, uid, controller: true };
    const pod: FakePod = { name: `${name}-${this.#made}`, namespace, ip: undefined, stage: 'Pending' };
    const created = await this.#deps.client.create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, name: pod.name, namespace, ownerReferences: [owner] },
      spec: { ...spec, nodeName: 'bench-node' },
    });
    void this.#begin(deployment, created, pod);
    return pod;
  }

  async #begin(deployment: Deployment, created: KubeObject, pod: FakePod): Promise<void> {
    try {
      for (const stage of starting) {
        await systemClock.sleep(stepMs);
        if (this.#isGone(deployment, pod)) return;
        if (stage === 'Ready') await this.#openSidecar(deployment, created, pod);
        await this.#deps.writes.patchStatus(pods, pod, podStatus(stage, pod.ip));
        pod.stage = stage;
      }
      this.#work(keyOf(deployment.metadata));
    } catch (error) {
      this.#note(error);
    }
  }

  async #openSidecar(deployment: Deployment, created: KubeObject, pod: FakePod): Promise<void> {
    const ip = await this.#deps.sidecars.reserve();
    const { namespace = '', name } = deployment.metadata;
    await this.#deps.sidecars.open(ip, {
      uid: created.metadata.uid ?? '',
      name: pod.name,
      model: deployment.metadata.labels?.[labels.model] ?? '',
      revision: deployment.metadata.labels?.[labels.revision] ?? '',
      golden: await this.#goldenOf({ namespace, name }),
    });
    pod.ip = ip;
  }

  async #goldenOf(name: { readonly namespace: string; readonly name: string }): Promise<RuntimeConfig['golden']> {
    try {
      const config = await this.#deps.client.get(configMaps, name);
      return (JSON.parse(config.data?.[paths.configFile] ?? '{}') as Partial<RuntimeConfig>).golden;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #note(error: unknown): void {
    if (!this.#closed) this.#failure ??= new Error(`the fake nodes failed: ${messageOf(error)}`, { cause: error });
  }

  #isGone(deployment: Deployment, pod: FakePod): boolean {
    return this.#closed || this.#pods.get(keyOf(deployment.metadata))?.has(pod) !== true;
  }

  async #remove(key: string, pod: FakePod): Promise<void> {
    this.#pods.get(key)?.delete(pod);
    if (pod.ip !== undefined) this.#deps.sidecars.close(pod.ip);
    await this.#deps.writes.deleteNow(pods, pod);
  }
}

function templateOf({ spec }: Deployment): { readonly metadata: object; readonly spec: object } {
  const template: { readonly metadata?: object; readonly spec?: object } = spec?.template ?? {};
  return { metadata: template.metadata ?? {}, spec: template.spec ?? {} };
}
