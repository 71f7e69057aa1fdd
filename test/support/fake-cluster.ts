/**
 * A cluster in memory for stories: it stores objects, refuses stale status writes, and makes pods for Deployments. The
 * model's URI decides how the pods start: it may contain `ok`, `slow` (ready after a minute), `wrong-digest`, `oom`,
 * `crash`, `odd` (fails its golden set), or `no-image` (the runtime's image cannot be pulled). The time comes from a
 * hand clock.
 */
import { containers, labels, paths } from '../../api/names.ts';
import { printLastWords, type Resolved } from '../../api/last-words.ts';
import type { OnnxModel, OnnxModelSpec, OnnxModelStatus } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { isRecord } from '../../api/record.ts';
import type { JsonRecord } from '../../lib/json.ts';
import type { GoldenResult, Report } from '../../api/report.ts';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type {
  ConfigMap,
  ControllerRevision,
  ContainerStatus,
  Deployment,
  HttpRoute,
  Pod,
  Service,
} from '../../kube/kinds.ts';
import type { KubeClient } from '../../kube/client/kube-client.ts';
import { statusError } from '../../kube/client/kube-error.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { Caches } from '../../operator/see/seen.ts';
import type { HandClock } from './hand-clock.ts';

type Stored = KubeObject & { readonly [field: string]: unknown };
const resolved = (digest: string): Resolved => ({
  digest,
  bytes: 1,
  signature: 's',
  opset: 17,
  precision: 'Source',
  provider: 'CPU',
  memoryEstimateBytes: 2 ** 26,
});

export class FakeCluster {
  readonly clock: HandClock;
  readonly objects = new Map<string, Stored>();
  /**
   * The writes so far: `apply KIND/NAME` for a creation, a patch or a server-side apply; `status KIND/NAME` for a
   * status; `delete KIND/NAME` for a deletion.
   */
  readonly writes: string[] = [];
  /** Called before each write. It may throw to simulate a crash. */
  beforeWrite: (what: string) => void = () => {};
  /** If a model's URI contains one of these texts, the model's pods run but are not ready. */
  readonly sick = new Set<string>();
  /** Whether the Gateway accepts the routes at their current generations. */
  gatewayTakes = true;
  #version = 0;
  #pods = 0;

  constructor(clock: HandClock) {
    this.clock = clock;
  }

  readonly client = {
    get: async (type: { kind: string }, name: { name: string }) => this.#need(type.kind, name.name),
    create: async (_type: unknown, object: KubeObject) => {
      if (this.objects.has(`${object.kind}/${object.metadata.name}`))
        throw statusError({ status: 409, reason: 'AlreadyExists', message: `${object.metadata.name} already exists` });
      return this.#write('apply', withUid(object, this.#next()));
    },
    mergePatch: async (type: { kind: string }, { name }: { name: string }, patch: JsonRecord) => {
      const stored = this.#need(type.kind, name);
      const { metadata: { uid: _u, resourceVersion: _r, ...metadata } = {}, ...fields } = patch as {
        readonly metadata?: JsonRecord;
      };
      return this.#write('apply', mergedByPatch(stored, { ...fields, metadata }) as unknown as KubeObject);
    },
    apply: async (_type: unknown, object: KubeObject) =>
      this.#write('apply', withUid(object, this.objects.get(`${object.kind}/${object.metadata.name}`)?.metadata.uid)),
    replaceStatus: async (_type: unknown, target: KubeObject, status: unknown) => {
      const stored = this.#need('OnnxModel', target.metadata.name);
      if (stored.metadata.resourceVersion !== target.metadata.resourceVersion)
        throw statusError({ status: 409, reason: 'Conflict', message: 'the object has been modified' });
      return this.#write('status', { ...stored, status } as Stored);
    },
    delete: async (type: { kind: string }, name: { name: string }) => {
      const key = `${type.kind}/${name.name}`;
      this.#note(`delete ${key}`);
      this.objects.delete(key);
      return true;
    },
  } as unknown as KubeClient;

  readonly caches: Caches = {
    model: (key) => this.objects.get(`OnnxModel/${key.split('/')[1]}`) as OnnxModel | undefined,
    pods: () => this.of<Pod>('Pod'),
    deployments: () => this.of<Deployment>('Deployment'),
    services: () => this.of<Service>('Service'),
    configMaps: () => this.of<ConfigMap>('ConfigMap'),
    controllerRevisions: () => this.of<ControllerRevision>('ControllerRevision'),
    httpRoutes: () => this.of<HttpRoute>('HTTPRoute'),
    gateway: () => undefined,
    gatewayApi: 'Served',
  };

  of<T extends KubeObject>(kind: string): readonly T[] {
    return [...this.objects.values()].filter((object) => object.kind === kind) as unknown as T[];
  }

  /** Applies a model as a user does. A changed spec gets a new generation. */
  put(spec: OnnxModelSpec, name = 'ranker'): void {
    const before = this.objects.get(`OnnxModel/${name}`);
    const generation = (before?.metadata.generation ?? 0) + 1;
    const metadata = {
      name,
      namespace: 'ml',
      uid: `uid-${name}`,
      generation,
      creationTimestamp: '2026-01-01T00:00:00Z',
      resourceVersion: this.#next(),
    };
    this.objects.set(`OnnxModel/${name}`, {
      ...before,
      apiVersion: 'onnx-operator.dev/v1alpha1',
      kind: 'OnnxModel',
      metadata,
      spec,
    });
  }

  get status(): OnnxModelStatus {
    return this.#need('OnnxModel', 'ranker')['status'] as OnnxModelStatus;
  }

  get routed(): string | undefined {
    return (this.objects.get('Service/ranker') as Service | undefined)?.spec?.selector?.[labels.revision];
  }

  readyPods(revision: string | undefined): number {
    return this.of<Pod>('Pod').filter(
      (pod) =>
        pod.metadata.labels?.[labels.revision] === revision &&
        pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'),
    ).length;
  }

  /** The report of a ready pod's sidecar whose golden run is complete. */
  reportOf(uid: string): Report | undefined {
    const pod = this.of<Pod>('Pod').find(
      (one) =>
        one.metadata.uid === uid && one.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True'),
    );
    const revision = pod?.metadata.labels?.[labels.revision];
    return revision === undefined
      ? undefined
      : { schema: 1, bootId: uid, seq: 1, revision, ready: true, ...present({ golden: this.goldenOf(revision) }) };
  }

  /**
   * The result of the golden set in a revision's ConfigMap: a good one, or a bad one when the model's URI contains
   * `odd`.
   */
  goldenOf(revision: string): GoldenResult | undefined {
    const { golden, source } = this.#configOf(revision);
    if (golden === undefined) return undefined;
    const score = source?.uri?.includes('odd') === true ? 0.31 : (golden.max ?? 1);
    return { id: golden.id, state: 'Done', n: 16, done: 16, passed: 16, compared: 16, score, worst: score };
  }

  #isSick(uri: string): boolean {
    return [...this.sick].some((word) => uri.includes(word));
  }

  #configOf(revision: string): Partial<RuntimeConfig> {
    const stored = this.of<ConfigMap>('ConfigMap').find((one) => one.metadata.labels?.[labels.revision] === revision);
    return JSON.parse(stored?.data?.[paths.configFile] ?? '{}') as Partial<RuntimeConfig>;
  }

  /** Makes all progress that controllers and kubelets can make at the current time. */
  tick(): void {
    for (const deployment of this.of<Deployment>('Deployment')) this.#scale(deployment);
    for (const pod of this.of<Pod>('Pod')) this.#live(pod);
    if (this.gatewayTakes) for (const route of this.of<HttpRoute>('HTTPRoute')) this.#take(route);
  }

  #take(route: HttpRoute): void {
    const observedGeneration = route.metadata.generation ?? 0;
    const conditions = ['Accepted', 'ResolvedRefs'].map((type) => ({
      type,
      status: 'True',
      reason: type,
      observedGeneration,
    }));
    const parents = (route.spec?.parentRefs ?? []).map((parentRef) => ({ parentRef, conditions }));
    this.objects.set(`HTTPRoute/${route.metadata.name}`, { ...route, status: { parents } } as Stored);
  }

  #scale(deployment: Deployment): void {
    const revision = deployment.metadata.labels?.[labels.revision] ?? '';
    const mine = this.of<Pod>('Pod').filter((pod) => pod.metadata.labels?.[labels.revision] === revision);
    const wanted = deployment.spec?.replicas ?? 1;
    for (let i = mine.length; i < wanted; i += 1) this.#createPod(deployment, revision);
    for (const pod of mine.slice(wanted)) this.objects.delete(`Pod/${pod.metadata.name}`);
  }

  #createPod(deployment: Deployment, revision: string): void {
    this.#pods += 1;
    const name = `${deployment.metadata.name}-${this.#pods}`;
    const metadata = {
      name,
      namespace: 'ml',
      uid: `uid-${name}`,
      labels: { [labels.model]: 'ranker', [labels.revision]: revision },
      creationTimestamp: new Date(this.clock.now()).toISOString(),
    };
    this.objects.set(`Pod/${name}`, { apiVersion: 'v1', kind: 'Pod', metadata, bornAt: this.clock.now() });
  }

  #live(pod: Pod): void {
    const revision = pod.metadata.labels?.[labels.revision] ?? '';
    const orphan = !this.of<Deployment>('Deployment').some((d) => d.metadata.labels?.[labels.revision] === revision);
    if (orphan) {
      this.objects.delete(`Pod/${pod.metadata.name}`);
      return;
    }
    const config = this.#configOf(revision);
    const ageMs = this.clock.now() - (pod as unknown as { bornAt: number }).bornAt;
    this.objects.set(`Pod/${pod.metadata.name}`, {
      ...pod,
      status: podStatus(
        this.#isSick(config.source?.uri ?? '') ? 'sick' : (config.source?.uri ?? ''),
        ageMs,
        `10.0.0.${pod.metadata.name.split('-').at(-1)}`,
      ),
    } as Stored);
  }

  async #write(verb: string, object: KubeObject): Promise<never> {
    this.#note(`${verb} ${object.kind}/${object.metadata.name}`);
    if (verb === 'apply' && object.kind === 'Pod') return this.#mark(object) as never;
    const stored = this.#afterWrite(object as Stored);
    this.objects.set(`${object.kind}/${object.metadata.name}`, stored);
    return stored as never;
  }

  /** A changed route gets a new generation, for which the Gateway has not reported a status yet. */
  #afterWrite(object: Stored): Stored {
    const metadata = { ...object.metadata, resourceVersion: this.#next() };
    if (object.kind !== 'HTTPRoute') return { ...object, metadata };
    const before = this.objects.get(`HTTPRoute/${object.metadata.name}`);
    const isSame = JSON.stringify(before?.['spec']) === JSON.stringify(object['spec']);
    const generation = (before?.metadata.generation ?? 0) + (isSame ? 0 : 1);
    return {
      ...object,
      metadata: { ...metadata, generation },
      ...(before?.['status'] === undefined ? {} : { status: before['status'] }),
    };
  }

  /** Applies the only field of a pod that the operator sets: the label by which the entry Service selects the pod. */
  #mark(config: KubeObject): Stored {
    const pod = this.#need('Pod', config.metadata.name);
    const { [labels.serving]: _, ...others } = pod.metadata.labels ?? {};
    const stored = {
      ...pod,
      metadata: { ...pod.metadata, resourceVersion: this.#next(), labels: { ...others, ...config.metadata.labels } },
    };
    this.objects.set(`Pod/${pod.metadata.name}`, stored);
    return stored;
  }

  #note(what: string): void {
    this.beforeWrite(what);
    this.writes.push(what);
  }

  #need(kind: string, name: string): Stored {
    const found = this.objects.get(`${kind}/${name}`);
    if (found === undefined)
      throw statusError({ status: 404, reason: 'NotFound', message: `${kind} ${name} not found` });
    return found;
  }

  #next(): string {
    this.#version += 1;
    return String(this.#version);
  }
}

function withUid(object: KubeObject, uid: string | undefined): KubeObject {
  return uid === undefined ? object : { ...object, metadata: { ...object.metadata, uid } };
}

/** Applies a JSON merge patch (RFC 7386). */
function mergedByPatch(value: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const out: JsonRecord = isRecord(value) ? { ...value } : {};
  for (const [name, inner] of Object.entries(patch)) {
    if (inner === null) delete out[name];
    else out[name] = mergedByPatch(out[name], inner);
  }
  return out;
}

/**
 * A pod has `resolved` its model after 10 s and is ready after 20 s (`slow`: 60 s), unless the URI gives another
 * behaviour.
 */
function podStatus(uri: string, ageMs: number, podIP: string): Pod['status'] {
  const readyAfterMs = uri.includes('slow') ? 60_000 : 20_000;
  const prepared: ContainerStatus = {
    name: containers.prepare,
    ready: true,
    restartCount: 0,
    state: {
      terminated: {
        exitCode: 0,
        message: printLastWords({
          kind: 'resolved',
          resolved: resolved(`sha256:${uri.length.toString(16).padStart(64, '0')}`),
        }),
      },
    },
  };
  const pending: ContainerStatus = { name: containers.prepare, ready: false, restartCount: 0, state: { running: {} } };
  if (ageMs < 10_000) return { phase: 'Pending', initContainerStatuses: [pending] };
  if (uri.includes('no-image'))
    return {
      phase: 'Pending',
      initContainerStatuses: [
        {
          ...pending,
          state: { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "nowhere/none:1"' } },
        },
      ],
    };
  if (uri.includes('wrong-digest')) {
    const words = printLastWords({
      kind: 'failed',
      code: 'DIGEST_MISMATCH',
      message: 'the digest of model.onnx is sha256:11, expected sha256:22',
    });
    return {
      phase: 'Pending',
      initContainerStatuses: [
        {
          ...pending,
          restartCount: 1,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 2, message: words } },
        },
      ],
    };
  }
  if (uri.includes('oom')) {
    const kills = Math.floor(ageMs / 10_000);
    const runtime: ContainerStatus = {
      name: containers.runtime,
      ready: false,
      restartCount: kills - 1,
      state: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
    };
    return { phase: 'Running', initContainerStatuses: [prepared], containerStatuses: [runtime] };
  }
  const ready = ageMs >= readyAfterMs && uri !== 'sick';
  return {
    phase: 'Running',
    podIP,
    initContainerStatuses: [prepared],
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
    containerStatuses: [{ name: containers.runtime, ready, restartCount: 0, state: { running: {} } }],
  };
}
