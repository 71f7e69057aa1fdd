/**
 * The operator, in this process, against an API server: models without a rollout in progress, with ready pods, and
 * another writer.
 * Owns: the namespace, all pods, the loop of passes (runs of the operator for a model), and the record of every write.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { printLastWords } from '../../../api/last-words.ts';
import { containers, labels, paths } from '../../../api/names.ts';
import { customResourceDefinition } from '../../../api/onnxmodel.ts';
import type { Report } from '../../../api/report.ts';
import type { RuntimeConfig } from '../../../api/runtime-config.ts';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { createRegistry } from '../../../lib/metrics.ts';
import { loadAccess } from '../../../kube/client/access.ts';
import { Controller } from '../../../kube/controller/controller.ts';
import { HttpKubeClient } from '../../../kube/client/http-client.ts';
import type { KubeClient } from '../../../kube/client/kube-client.ts';
import { WorkQueue } from '../../../kube/controller/workqueue.ts';
import { Reconciler } from '../../../operator/reconcile/reconcile.ts';
import { ModelWatches } from '../../../operator/watches.ts';
import { eventually } from '../../support/eventually.ts';
import { KubeApi, type Answer, type Json } from '../kube/api.ts';

export class DriftWorld {
  readonly namespace = `drift-${randomBytes(4).toString('hex')}`;
  readonly api: KubeApi;
  /** The operator's writes, as `verb Kind/name`. */
  readonly writes: string[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'drift-'));
  readonly #kubeconfig: string;
  readonly #ends: (() => Promise<unknown>)[] = [];
  #wroteAt = 0;
  readonly #models = new Set<string>();

  readonly #quietMs: number;
  readonly #runtimeImage: string;
  readonly #operatorKubeconfig: () => string;

  /**
   * @param kubeconfig the text of a kubeconfig
   * @param quietMs the operator is at rest when it has written nothing for this many milliseconds
   * @param runtimeImage the image that the operator gives to the pods of models
   * @param operatorKubeconfig returns the text of the operator's kubeconfig when it starts; absent: it has `kubeconfig`
   */
  constructor(
    kubeconfig: string,
    quietMs: number,
    runtimeImage = 'runtime:1',
    operatorKubeconfig = (): string => kubeconfig,
  ) {
    this.#operatorKubeconfig = operatorKubeconfig;
    this.#quietMs = quietMs;
    this.#runtimeImage = runtimeImage;
    this.api = new KubeApi(kubeconfig);
    this.#kubeconfig = join(this.#folder, 'config');
  }

  /**
   * @param seed creates objects before the operator starts. It returns a function that deletes these objects after the
   * operator has ended
   */
  async open(seed?: () => Promise<void | (() => Promise<void>)>): Promise<void> {
    const crd = customResourceDefinition('published');
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${crd.metadata.name}`;
    const applied = await this.api.patch(`${path}?fieldManager=test&force=true`, 'apply', crd);
    if (applied.status >= 300) throw new Error(applied.text);
    await this.api.post('/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: this.namespace },
    });
    await this.api.post(this.path('v1', 'serviceaccounts'), {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default' },
    });
    await eventually(
      'models to be served',
      async () => (await this.api.get(this.path('onnx-operator.dev/v1alpha1', 'onnxmodels'))).status === 200,
    );
    const unseed = await seed?.();
    if (unseed !== undefined) this.#ends.push(unseed);
    await this.#startOperator();
  }

  async close(): Promise<void> {
    for (const end of this.#ends.toReversed()) await end();
    await this.api.delete(`/api/v1/namespaces/${this.namespace}`);
    await this.api.close();
    rmSync(this.#folder, { recursive: true });
  }

  path(apiVersion: string, plural: string, name?: string): string {
    return (
      `${apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`}/namespaces/${this.namespace}/${plural}` +
      `${name === undefined ? '' : `/${name}`}`
    );
  }

  /** Applies the model as a user, creates a ready pod for its first revision, and waits until the model is Ready. */
  async serve(name: string, spec: object): Promise<string> {
    await this.ask(name, spec);
    const revision = await this.bringUp(
      name,
      (status) => (status?.candidate ?? status?.stable)?.revision as string | undefined,
    );
    await eventually(`${name} to be ready`, async () => (await this.condition(name, 'Ready'))?.status === 'True');
    await this.quiet();
    return revision;
  }

  /** Applies the model as a user. */
  async ask(name: string, spec: object): Promise<void> {
    this.#models.add(name);
    const object = { apiVersion: 'onnx-operator.dev/v1alpha1', kind: 'OnnxModel', metadata: { name }, spec };
    const answer = await this.api.patch(
      `${this.path('onnx-operator.dev/v1alpha1', 'onnxmodels', name)}?fieldManager=user`,
      'apply',
      object,
    );
    if (answer.status >= 300) throw new Error(answer.text);
  }

  /**
   * Waits until `revisionIn` finds a revision in the status, then creates a ready pod for it.
   * @returns the revision
   */
  async bringUp(name: string, revisionIn: (status: Json) => string | undefined): Promise<string> {
    const revision = await eventually('a candidate', async () => revisionIn((await this.model(name)).status));
    await this.#makePod(name, revision);
    return revision;
  }

  async model(name: string): Promise<Json> {
    return (await this.api.get(this.path('onnx-operator.dev/v1alpha1', 'onnxmodels', name))).body;
  }

  async condition(name: string, type: string): Promise<Json> {
    return (await this.model(name)).status?.conditions?.find((one: Json) => one.type === type);
  }

  /** Resolves when the operator has written nothing for `forMs` milliseconds. */
  async quiet(forMs = this.#quietMs, withinMs = 20_000): Promise<void> {
    const until = performance.now() + withinMs;
    const from = performance.now();
    while (performance.now() - Math.max(this.#wroteAt, from) < forMs) {
      if (performance.now() > until) throw new Error(`the operator keeps writing: ${this.writes.slice(-6).join(', ')}`);
      await sleep(10);
    }
  }

  /** Applies a JSON patch as another writer. */
  change(path: string, patch: readonly object[]): Promise<Answer> {
    return this.api.patch(`${path}?fieldManager=stranger`, 'json', patch);
  }

  async #startOperator(): Promise<void> {
    const registry = createRegistry();
    writeFileSync(this.#kubeconfig, this.#operatorKubeconfig(), { mode: 0o600 });
    const access = await loadAccess({ kubeconfig: this.#kubeconfig }, systemClock);
    const client = new HttpKubeClient({ access, clock: systemClock, registry, name: 'onnx-operator' });
    const noted = this.#noting(client);
    const queue = new WorkQueue({ name: 'drift', clock: systemClock, registry });
    const watches = new ModelWatches({
      client: noted,
      clock: systemClock,
      registry,
      logger: silentLogger,
      namespace: this.namespace,
      onChange: (key) => queue.add(key),
    });
    const reconciler = new Reconciler({
      client: noted,
      caches: watches,
      reports: (uid) => this.#reportOf(watches, uid),
      clock: systemClock,
      logger: silentLogger,
      announce: () => {},
      follow: () => {},
      settings: { runtimeImage: this.#runtimeImage, settleMs: 100, serviceAddress: 'DNS' },
    });
    const controller = new Controller({
      name: 'drift',
      queue,
      reconcile: (key, signal) => reconciler.reconcile(key, signal),
      clock: systemClock,
      registry,
      logger: silentLogger,
    });
    const stop = new AbortController();
    const watching = watches.run(stop.signal);
    await watches.whenSynced();
    const controlling = controller.run(stop.signal);
    this.#ends.push(async () => {
      stop.abort();
      await Promise.all([watching, controlling]);
      await client.close();
    });
  }

  /** The report of a healthy sidecar whose golden set has run completely. */
  #reportOf(watches: ModelWatches, uid: string): Report | undefined {
    const keys = [...this.#models].map((model) => `${this.namespace}/${model}`);
    const pod = keys.flatMap((key) => watches.pods(key)).find(({ metadata }) => metadata.uid === uid);
    const { [labels.revision]: revision, [labels.model]: model = '' } = pod?.metadata.labels ?? {};
    const map = watches
      .configMaps(`${this.namespace}/${model}`)
      .find(({ metadata }) => metadata.name === `${model}-${revision ?? ''}`);
    if (revision === undefined || map === undefined) return undefined;
    const golden = goldenIn(map.data?.[paths.configFile]);
    const passed = { state: 'Done', n: 16, done: 16, passed: 16, compared: 16, score: 1, worst: 1 } as const;
    return {
      schema: 1,
      bootId: uid,
      seq: 1,
      revision,
      ready: true,
      ...(golden === undefined ? {} : { golden: { id: golden.id, ...passed } }),
    };
  }

  #noting(client: HttpKubeClient): KubeClient {
    const note = <T>(verb: string, name: string, write: Promise<T>): Promise<T> => {
      this.writes.push(`${verb} ${name}`);
      this.#wroteAt = performance.now();
      return write.finally(() => {
        this.#wroteAt = performance.now();
      });
    };
    return {
      get: (type, name, options) => client.get(type, name, options),
      list: (type, query, options) => client.list(type, query, options),
      watch: (type, query, signal) => client.watch(type, query, signal),
      create: (type, object, options) =>
        note('create', `${type.kind}/${object.metadata.name}`, client.create(type, object, options)),
      replace: (type, object, options) =>
        note('replace', `${type.kind}/${object.metadata.name}`, client.replace(type, object, options)),
      apply: (type, object, options) =>
        note('apply', `${type.kind}/${object.metadata.name}`, client.apply(type, object, options)),
      replaceStatus: (type, target, status, options) =>
        note('status', `${type.kind}/${target.metadata.name}`, client.replaceStatus(type, target, status, options)),
      patchMetadata: (type, target, change, options) =>
        note('patch', `${type.kind}/${target.name}`, client.patchMetadata(type, target, change, options)),
      mergePatch: (type, name, patch, options) =>
        note('repair', `${type.kind}/${name.name}`, client.mergePatch(type, name, patch, options)),
      delete: (type, name, options) => note('delete', `${type.kind}/${name.name}`, client.delete(type, name, options)),
    };
  }

  /** Creates a ready pod, and writes the statuses that the Deployment controller and a kubelet would write. */
  async #makePod(model: string, revision: string): Promise<void> {
    await eventually(
      'the Deployment',
      async () => (await this.api.get(this.path('apps/v1', 'deployments', `${model}-${revision}`))).status === 200,
    );
    const name = `${model}-${revision}-0`;
    const marks = { [labels.model]: model, [labels.revision]: revision, [labels.managedBy]: 'onnx-operator' };
    const made = await this.api.post(this.path('v1', 'pods'), {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: marks },
      spec: { containers: [{ name: 'runtime', image: 'runtime:1' }] },
    });
    if (made.status !== 201) throw new Error(made.text);
    const words = printLastWords({
      kind: 'resolved',
      resolved: {
        digest: `sha256:${'1'.repeat(64)}`,
        bytes: 1,
        signature: 's',
        opset: 17,
        precision: 'Source',
        provider: 'CPU',
        memoryEstimateBytes: 2 ** 26,
      },
    });
    const state = {
      name: containers.prepare,
      image: 'runtime:1',
      imageID: 'x',
      ready: true,
      restartCount: 0,
      state: {
        terminated: {
          exitCode: 0,
          reason: 'Completed',
          message: words,
          containerID: 'x://1',
          startedAt: '2026-01-01T00:00:00Z',
          finishedAt: '2026-01-01T00:00:01Z',
        },
      },
    };
    const status = {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      initContainerStatuses: [state],
    };
    const answer = await this.api.patch(this.path('v1', 'pods', `${name}/status`), 'merge', { status });
    if (answer.status !== 200) throw new Error(answer.text);
  }
}

/**
 * The golden set (test inputs for a new revision) that a config file names. Undefined for invalid text, because another
 * writer may have changed the file.
 */
function goldenIn(text = '{}'): RuntimeConfig['golden'] {
  try {
    return (JSON.parse(text) as Partial<RuntimeConfig>).golden;
  } catch {
    return undefined;
  }
}
