/**
 * Which objects the caches of an operator contain that handles a shard (a part of the models), and for which models a
 * change triggers a pass, which is one run of the operator for a model.
 */
import assert from 'node:assert/strict';
import { fieldManager, labels } from '../../../api/names.ts';
import { silentLogger } from '../../../lib/log.ts';
import { createRegistry } from '../../../lib/metrics.ts';
import type { Priority } from '../../../kube/controller/fair-queue.ts';
import { gateways, onnxModels, pods, services, type Gateway, type Pod, type Service } from '../../../kube/kinds.ts';
import { isInShard, type Shard } from '../../../kube/controller/shard.ts';
import { ModelWatches } from '../../../operator/watches.ts';
import { given } from '../../support/given.ts';
import { HandClock, settle } from '../../support/hand-clock.ts';
import { MemoryKube } from '../../support/memory-kube.ts';

const names = Array.from({ length: 40 }, (_, i) => `m-${i}`);
const [mine, others] = [names.filter((name) => isMine(name)), names.filter((name) => !isMine(name))];

function isMine(name: string): boolean {
  return isInShard({ index: 0, of: 2 }, `ml/${name}`);
}

function childMeta(model: string) {
  const own = { [labels.managedBy]: fieldManager, [labels.model]: model };
  return { name: model, namespace: 'ml', labels: own };
}

function serviceOf(model: string): Service {
  return { apiVersion: 'v1', kind: 'Service', metadata: childMeta(model) };
}

function podOf(model: string, ready: boolean): Pod {
  const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
  return { apiVersion: 'v1', kind: 'Pod', metadata: childMeta(model), status: { conditions } };
}

type Told = readonly [key: string, atLeast: Priority | undefined];

class World {
  readonly kube = new MemoryKube();
  readonly told: Told[] = [];
  readonly #ended = new AbortController();
  readonly watches: ModelWatches;

  constructor(shard?: Shard) {
    for (const name of names) {
      const model = given.model();
      this.kube.put(onnxModels, { ...model, metadata: { ...model.metadata, name, uid: `uid-${name}` } });
      this.kube.put(services, serviceOf(name));
    }
    const gateway = {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { name: 'gw', namespace: 'ml' },
    };
    this.kube.put(gateways, gateway as unknown as Gateway);
    this.watches = new ModelWatches({
      client: this.kube,
      clock: new HandClock(),
      registry: createRegistry(),
      logger: silentLogger,
      onChange: (key, atLeast) => this.told.push([key, atLeast]),
      ...(shard === undefined ? {} : { shard }),
    });
    void this.watches.run(this.#ended.signal);
  }

  has(name: string): { readonly model: boolean; readonly service: boolean } {
    const key = `ml/${name}`;
    return { model: this.watches.model(key) !== undefined, service: this.watches.services(key).length > 0 };
  }

  end(): void {
    this.#ended.abort();
  }
}

describe('the watches of a shard', () => {
  let world: World;
  const begin = async (shard?: Shard): Promise<World> => {
    world = new World(shard);
    await settle();
    world.told.length = 0;
    return world;
  };
  afterEach(() => world.end());

  it('keep the models of the shard and their children, and nothing of other shards', async () => {
    const { watches } = await begin({ index: 0, of: 2 });
    assert.ok(mine.length > 10 && others.length > 10);
    for (const name of mine) assert.deepEqual(world.has(name), { model: true, service: true });
    for (const name of others) assert.deepEqual(world.has(name), { model: false, service: false });
    assert.equal(watches.synced, true);
  });

  it('keep everything without shards', async () => {
    await begin();
    for (const name of names) assert.deepEqual(world.has(name), { model: true, service: true });
  });

  it('keep Gateways in every shard', async () => {
    const { watches } = await begin({ index: 1, of: 2 });
    assert.equal(watches.gateway({ name: 'gw', namespace: 'ml' })?.metadata.name, 'gw');
  });

  it('report changes in the shard only', async () => {
    const { kube, told } = await begin({ index: 0, of: 2 });
    for (const name of names) kube.put(services, { ...serviceOf(name), spec: { type: 'ClusterIP' } });
    await settle();
    assert.deepEqual(
      told.map(([key]) => key),
      mine.map((name) => `ml/${name}`),
    );
  });

  it('drop a child whose label names a model of another shard, and tell its former model', async () => {
    const { kube, told } = await begin({ index: 0, of: 2 });
    const [name = '', other = ''] = [mine[0], others[0]];
    const relabelled = childMeta(other).labels;
    kube.put(services, { ...serviceOf(name), metadata: { ...childMeta(name), labels: relabelled } });
    await settle();
    assert.deepEqual(told, [[`ml/${name}`, undefined]]);
    assert.deepEqual(world.has(name), { model: true, service: false });
  });

  it('report a pod as urgent that lost its readiness under a candidate', async () => {
    const { kube, told } = await begin();
    const model = world.watches.model('ml/m-0') ?? given.model();
    kube.put(onnxModels, { ...model, status: { observedGeneration: 3, rollout: { phase: 'Analyzing' } } });
    kube.put(pods, podOf('m-0', true));
    await settle();
    told.length = 0;
    kube.put(pods, podOf('m-0', false));
    await settle();
    assert.deepEqual(told, [['ml/m-0', 'urgent']]);
  });
});
