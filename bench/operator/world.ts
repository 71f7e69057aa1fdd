/**
 * One API server with one operator, and the simulated parts of a cluster.
 * Owns: starting and ending the parts, waiting, and computing a row (the result of a scenario) from two moments.
 * Ends: `close` ends every process and removes the folder.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { loadAccess } from '../../kube/client/access.ts';
import { HttpKubeClient } from '../../kube/client/http-client.ts';
import { isAlreadyExists } from '../../kube/client/kube-error.ts';
import { localRuntimeImage } from '../../api/names.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import type { ResourceType } from '../../kube/client/resource-type.ts';
import { Reflector } from '../../kube/cache/reflector.ts';
import { deployments, gateways, httpRoutes, type Deployment } from '../../kube/kinds.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { kubeconfigText, startBenchServer, type BenchServer } from './bench-server.ts';
import { CountingProxy } from './counting-proxy.ts';
import { FakeNodes } from './fake-nodes.ts';
import { FakeSidecars } from './fake-sidecars.ts';
import { MeasuredOperator } from './measured-operator.ts';
import { benchNamespace, typeOf, type BenchModel, type Definition } from './models.ts';
import type { Order } from './order.ts';
import { RawWrites } from './raw-writes.ts';
import { sentBetween, type RequestCounts } from './requests.ts';
import type { Row } from './rows.ts';
import { freePort } from '../support/free-port.ts';
import { usageOf } from '../support/usage.ts';

const repository = join(import.meta.dirname, '..', '..');
const pollMs = 10;
/**
 * Without this annotation, kube-apiserver refuses definitions of groups that end in `.k8s.io`, such as the Gateway API.
 */
const approved = { 'api-approved.kubernetes.io': 'unapproved, for a bench' };
/** How long to wait until the API server serves the objects of a new definition. */
const servedWithin = { tries: 300, everyMs: 100 };
const definitions: ResourceType<Definition> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};
const namespaces: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
const serviceAccounts: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
};

/** The numbers of requests from the start of a run to one moment, and the API server's CPU time at this moment. */
export type Moment = {
  readonly atMs: number;
  readonly counts: RequestCounts;
  readonly refused: RequestCounts;
  readonly serverCpu: number;
};

export class World {
  readonly order: Order;
  readonly server: BenchServer;
  readonly proxy: CountingProxy;
  readonly operator: MeasuredOperator;
  readonly client: HttpKubeClient;
  readonly modelType: ResourceType<BenchModel>;
  readonly models: Reflector<BenchModel>;
  readonly deployments: Reflector<Deployment>;
  readonly nodes: FakeNodes;
  readonly sidecars: FakeSidecars;
  readonly #stop: AbortSignal;
  readonly #ends: readonly (() => void | Promise<void>)[];

  private constructor(parts: Omit<WorldParts, 'ends' | 'stop'>, ends: WorldParts['ends'], stop: AbortSignal) {
    this.order = parts.order;
    this.server = parts.server;
    this.proxy = parts.proxy;
    this.operator = parts.operator;
    this.client = parts.client;
    this.modelType = parts.modelType;
    this.models = parts.models;
    this.deployments = parts.deployments;
    this.nodes = parts.nodes;
    this.sidecars = parts.sidecars;
    this.#ends = ends;
    this.#stop = stop;
  }

  /** Starts everything except the operator. */
  static async open(order: Order, assets: string | undefined, stop: AbortSignal): Promise<World> {
    const ends: (() => void | Promise<void>)[] = [];
    try {
      const { ends: _, stop: __, ...parts } = await begin({ order, assets, ends, stop });
      return new World(parts, ends, stop);
    } catch (error) {
      await endAll(ends);
      throw error;
    }
  }

  close(): Promise<void> {
    return endAll(this.#ends);
  }

  moment(): Moment {
    const { counts, refusals } = this.proxy;
    return {
      atMs: performance.now(),
      counts,
      refused: refusals,
      serverCpu: usageOf(this.server.pids).cpuSeconds,
    };
  }

  /** A row with the requests that were sent since a moment. */
  row(since: Moment, row: Omit<Row, 'requests' | 'refused'>): Row {
    const now = this.moment();
    return {
      ...row,
      requests: sentBetween(since.counts, now.counts),
      refused: sentBetween(since.refused, now.refused),
    };
  }

  /**
   * Waits until a condition is true. @throws Error that contains `what` when the condition does not become true in time
   */
  async until(what: string, isSo: () => boolean, limitMs = 600_000): Promise<void> {
    const beganMs = performance.now();
    while (!isSo()) {
      this.#stop.throwIfAborted();
      this.operator.assertRunning();
      this.nodes.assertWorking();
      if (performance.now() - beganMs > limitMs)
        throw new Error(`waited ${limitMs / 1000} s for ${what}; refused so far: ${this.#refused()}`);
      await systemClock.sleep(pollMs, this.#stop);
    }
  }

  #refused(): string {
    const { refusals } = this.proxy;
    return Object.keys(refusals).length === 0 ? 'nothing' : JSON.stringify(refusals);
  }

  /** Waits until the operator has not sent a request for `order.calmMs`. */
  async untilCalm(): Promise<void> {
    await this.until('the operator to become quiet', () => this.proxy.quietMs >= this.order.calmMs);
  }

  async sleep(ms: number): Promise<void> {
    await systemClock.sleep(ms, this.#stop);
    this.#stop.throwIfAborted();
    this.operator.assertRunning();
  }

  /** Creates the models, eight at a time. */
  async create(models: readonly KubeObject[]): Promise<void> {
    await inParallel(models, 8, async (model) => {
      await this.client.create(this.modelType, {
        ...model,
        metadata: { ...model.metadata, namespace: benchNamespace },
      });
    });
  }

  async change(name: string, patch: object): Promise<void> {
    await this.client.mergePatch(this.modelType, { namespace: benchNamespace, name }, patch as Record<string, unknown>);
  }
}

type WorldParts = {
  readonly order: Order;
  readonly server: BenchServer;
  readonly proxy: CountingProxy;
  readonly operator: MeasuredOperator;
  readonly client: HttpKubeClient;
  readonly modelType: ResourceType<BenchModel>;
  readonly models: Reflector<BenchModel>;
  readonly deployments: Reflector<Deployment>;
  readonly nodes: FakeNodes;
  readonly sidecars: FakeSidecars;
  readonly ends: (() => void | Promise<void>)[];
  readonly stop: AbortSignal;
};

type Beginning = Pick<WorldParts, 'order' | 'ends' | 'stop'> & { readonly assets: string | undefined };

async function begin({ order, assets, ends, stop }: Beginning): Promise<WorldParts> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-operator-'));
  ends.push(() => rmSync(folder, { recursive: true, force: true }));
  const server = await startBenchServer(assets, folder);
  ends.push(() => server.close());
  const proxy = new CountingProxy(server.target);
  const kubeconfig = join(folder, 'operator.kubeconfig');
  writeFileSync(kubeconfig, kubeconfigText(await proxy.start()));
  ends.push(() => proxy.close());
  const access = await loadAccess({ kubeconfig: server.kubeconfig }, systemClock);
  const client = new HttpKubeClient({ access, clock: systemClock, registry: createRegistry(), name: 'bench' });
  ends.push(() => client.close());
  const modelType = await furnish(client, order);
  const models = await followed(client, modelType, ends);
  const followedDeployments = await followed(client, deployments, ends);
  const sidecars = new FakeSidecars();
  const writes = new RawWrites(access);
  const nodes = new FakeNodes({ client, writes, deployments: followedDeployments, sidecars });
  ends.push(
    () => writes.close(),
    () => nodes.close(),
  );
  nodes.start();
  const operator = new MeasuredOperator({ ...(await commandOf(order)), kubeconfig, log: join(folder, 'operator.log') });
  ends.push(() => operator.kill());
  return {
    order,
    server,
    proxy,
    operator,
    client,
    modelType,
    models,
    deployments: followedDeployments,
    nodes,
    sidecars,
    ends,
    stop,
  };
}

/** Ends the parts in reverse order of their start. Each part is ended even if another failed to end. */
export async function endAll(ends: readonly (() => void | Promise<void>)[]): Promise<void> {
  for (const end of ends.toReversed()) await Promise.try(end).catch(() => {});
}

/** Creates the namespace, its service account, and the definitions. @returns the resource type of the models */
async function furnish(client: HttpKubeClient, order: Order): Promise<ResourceType<BenchModel>> {
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: benchNamespace } });
  await createServiceAccount(client);
  // Install the definitions of the Gateway API. Without them, the operator looks for them every minute, so the counts
  // would depend on the duration of a run.
  for (const name of ['gateways', 'httproutes']) {
    const { metadata, ...rest } = definitionIn('local', 'gateway', 'definitions', `${name}.yaml`);
    await client.create(definitions, { ...rest, metadata: { ...metadata, annotations: approved } });
  }
  const definition = (order.foreign?.definition ?? definitionIn('crds', 'onnxmodels.yaml')) as Definition;
  await client.create(definitions, definition);
  const type = typeOf(definition);
  for (const served of [gateways, httpRoutes, type]) await untilServed(client, served);
  return type;
}

async function untilServed(client: HttpKubeClient, type: ResourceType): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await client.list(type, { limit: 1 });
      return;
    } catch (error) {
      if (tries === servedWithin.tries) throw error;
      await systemClock.sleep(servedWithin.everyMs);
    }
  }
}

function definitionIn(...path: readonly string[]): Definition {
  return parse(readFileSync(join(repository, ...path), 'utf8')) as Definition;
}

/**
 * Creates the default service account, because admission refuses pods without one. Local mode's API server creates the
 * account by itself. On a real cluster a controller creates it, but the bench runs kube-apiserver without controllers.
 */
async function createServiceAccount(client: HttpKubeClient): Promise<void> {
  const metadata = { name: 'default', namespace: benchNamespace };
  try {
    await client.create(serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata });
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function followed<T extends KubeObject>(
  client: HttpKubeClient,
  type: ResourceType<T>,
  ends: (() => void | Promise<void>)[],
): Promise<Reflector<T>> {
  const reflector = new Reflector<T>({
    client,
    type,
    namespace: benchNamespace,
    clock: systemClock,
    registry: createRegistry(),
    logger: silentLogger,
  });
  const ended = new AbortController();
  const running = reflector.run(ended.signal);
  ends.push(async () => {
    ended.abort();
    await running;
  });
  await reflector.whenSynced();
  return reflector;
}

async function commandOf({
  foreign,
  operatorArgs,
}: Order): Promise<{ readonly argv: readonly string[]; readonly readyUrl: string | undefined }> {
  if (foreign !== undefined) return foreign;
  const listen = `127.0.0.1:${await freePort()}`;
  const program = join(repository, 'operator', 'main.ts');
  // Let the operator delete the objects of a replaced revision after one second. The default is ten seconds, which is
  // longer than `calmMs`: the deletions after a change would then be counted in the next scenario.
  const settle = ['--settle', '1s'];
  // The image's name is in the manifests that are written, but the bench runs no pods.
  const image = ['--runtime-image', localRuntimeImage];
  const flags = [
    '--no-leader-election',
    '--listen',
    listen,
    '--log-level',
    'warn',
    ...image,
    ...settle,
    ...operatorArgs,
  ];
  return { argv: [process.execPath, program, ...flags], readyUrl: `http://${listen}/readyz` };
}

async function inParallel<T>(items: readonly T[], workers: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: workers }, worker));
}
