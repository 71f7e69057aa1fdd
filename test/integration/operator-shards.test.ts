/**
 * Operators of several shards (parts of the models) against local mode's API server, killed at random. Two operators
 * never handle one model at the same time, and after each kill every model is handled again. Lease times are shorter
 * than in production, and a pass (one run for a model) only writes an annotation.
 */
import assert from 'node:assert/strict';
import { aborted } from '../../lib/abort.ts';
import { systemClock as clock } from '../../lib/clock.ts';
import { silentLogger as logger } from '../../lib/log.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { keyOf } from '../../api/kube-object.ts';
import { openAccess } from '../../kube/client/access.ts';
import { fencedClient } from '../../kube/client/fenced-client.ts';
import { HttpKubeClient } from '../../kube/client/http-client.ts';
import type { KubeClient } from '../../kube/client/kube-client.ts';
import { Controller } from '../../kube/controller/controller.ts';
import type { Term } from '../../kube/controller/leader.ts';
import { ShardElector } from '../../kube/controller/shard-elector.ts';
import { WorkQueue } from '../../kube/controller/workqueue.ts';
import { onnxModels } from '../../kube/kinds.ts';
import { isInShard, type Shard } from '../../kube/controller/shard.ts';
import { ModelWatches } from '../../operator/watches.ts';
import { eventually } from '../support/eventually.ts';
import { ModelApi } from '../support/model-api.ts';

const namespace = 'ml';
const names = Array.from({ length: 24 }, (_, i) => `m-${i}`);
const times = { leaseMs: 2000, renewDeadlineMs: 1400, retryMs: 150 };

/** Records which operators handle each model now, which operator handled it last, and violations. */
class Book {
  readonly #inHand = new Map<string, Set<Operator>>();
  readonly last = new Map<string, Operator>();
  readonly faults: string[] = [];

  begin(key: string, operator: Operator): void {
    const hands = this.#inHand.get(key) ?? new Set();
    this.#inHand.set(key, hands.add(operator));
    this.check(key, operator);
  }

  /** Ignores operators that no longer lead: their passes may still run, but can no longer write. */
  check(key: string, operator: Operator): void {
    if (!operator.leads) return;
    for (const other of this.#inHand.get(key) ?? [])
      if (other !== operator && other.leads)
        this.faults.push(`${key} is handled by ${other.name} and ${operator.name}`);
    if (!isInShard(operator.shard, key)) this.faults.push(`${operator.name} handles ${key} of another shard`);
  }

  end(key: string, operator: Operator): void {
    this.#inHand.get(key)?.delete(operator);
  }
}

/**
 * An operator as one process would run it: watches, queue, controller and election, connected as in operator/main.ts.
 */
class Operator {
  readonly name: string;
  readonly shard: Shard;
  readonly #stop = new AbortController();
  readonly #client: HttpKubeClient;
  readonly #leaseClient: HttpKubeClient;
  #state: 'alive' | 'without lease' | 'dead' = 'alive';
  #term: Term | undefined;
  readonly ended: Promise<void>;

  constructor(name: string, shard: Shard, { api, book }: { readonly api: ModelApi; readonly book: Book }) {
    this.name = name;
    this.shard = shard;
    const { url, token, certificate } = api.server;
    const access = openAccess(url, { authorization: `Bearer ${token}` }, { ca: certificate });
    const shared = { access, clock, registry: createRegistry(), name };
    this.#client = new HttpKubeClient(shared);
    this.#leaseClient = new HttpKubeClient(shared);
    this.ended = this.#run(book);
  }

  get leads(): boolean {
    return this.#term?.isCurrent() === true;
  }

  /** As after SIGTERM: passes end, then the Lease is released. */
  stop(): void {
    this.#stop.abort();
  }

  /** As after SIGKILL: all requests fail from now on, and the Lease is not released. */
  kill(): void {
    this.#state = 'dead';
    this.#stop.abort();
  }

  /** Only renewals of the Lease fail from now on. The operator continues its passes until its fence refuses writes. */
  cutOffFromLease(): void {
    if (this.#state === 'alive') this.#state = 'without lease';
  }

  /** A client that fails every call while `isCut` returns true, and otherwise calls `client`. */
  #breakable(client: HttpKubeClient, isCut: () => boolean): KubeClient {
    return new Proxy(client, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        return (...args: readonly unknown[]): unknown =>
          isCut() ? Promise.reject(new Error('no answer')) : Reflect.apply(member, target, args);
      },
    });
  }

  async #run(book: Book): Promise<void> {
    const registry = createRegistry();
    const client = this.#breakable(this.#client, () => this.#state === 'dead');
    const leaseClient = this.#breakable(this.#leaseClient, () => this.#state !== 'alive');
    const queue = new WorkQueue({ name: 'models', clock, registry });
    const watches = new ModelWatches({
      client,
      clock,
      registry,
      logger,
      shard: this.shard,
      onChange: (key) => queue.add(key),
    });
    const ended = new AbortController();
    const watching = watches.run(ended.signal);
    const lease = { namespace: 'default', name: 'onnx-operator' };
    const { name: identity, shard } = this;
    const deps = { client: leaseClient, clock, registry, logger, lease, identity, shard, ...times };
    const term = await new ShardElector(deps).campaign(this.#stop.signal);
    if (term !== undefined) {
      this.#term = term;
      await Promise.race([watches.whenSynced(), aborted(this.#stop.signal)]);
      const fenced = fencedClient(client, () => term.isCurrent());
      const reconcile = async (key: string): Promise<{ readonly recheckMs: number }> => {
        book.begin(key, this);
        try {
          const model = watches.model(key);
          if (model === undefined) return { recheckMs: 1000 };
          const { name } = model.metadata;
          // Write several times with pauses, as a real pass does.
          for (let i = 0; i < 3; i += 1) {
            const { leads } = this;
            await fenced.patchMetadata(onnxModels, { name, namespace }, { annotations: { 'test/by': this.name } });
            if (!leads) book.faults.push(`${this.name} wrote ${key} after its term`);
            book.check(key, this);
            await clock.sleep(40);
          }
          book.last.set(key, this);
          return { recheckMs: 300 };
        } finally {
          book.end(key, this);
        }
      };
      const controller = new Controller({ name: 'models', queue, reconcile, clock, registry, logger, drainMs: 300 });
      await controller.run(AbortSignal.any([this.#stop.signal, term.lost]));
      await term.release();
    }
    ended.abort();
    await watching;
    await Promise.all([this.#leaseClient.close(), this.#client.close()]);
  }
}

/** A seeded generator of numbers in [0, 1): mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

describe('operators of several shards', function () {
  this.timeout(90_000);
  let api: ModelApi;
  let book: Book;
  let operators: Operator[];
  let count = 0;

  beforeEach(async () => {
    api = await ModelApi.start(namespace);
    for (const name of names) api.create(namespace, name);
    book = new Book();
    operators = [];
  });

  afterEach(async () => {
    for (const operator of operators) operator.stop();
    await Promise.all(operators.map(({ ended }) => ended));
    await api.close();
  });

  function start(shard: Shard): Operator {
    count += 1;
    const operator = new Operator(`operator-${count}-of-shard-${shard.index}-of-${shard.of}`, shard, { api, book });
    operators.push(operator);
    return operator;
  }

  /** Waits until the leaders of `of` shards have handled each model again. */
  async function allHandled(of: number): Promise<void> {
    book.last.clear();
    await eventually(
      `all models to be handled by ${of} shards`,
      () =>
        names.every((name) => {
          const by = book.last.get(keyOf({ name, namespace }));
          return by !== undefined && by.leads && by.shard.of === of;
        }),
      20_000,
    );
    assert.deepEqual(book.faults, []);
  }

  it('handle each model once, and again after operators were killed at random', async () => {
    const random = randomFrom(7);
    const shards = [0, 1, 2].map((index) => ({ index, of: 3 }));
    const running = shards.map((shard) => start(shard));
    // Start a second replica of each shard as a standby.
    running.push(...shards.map((shard) => start(shard)));
    await allHandled(3);
    for (let round = 0; round < 14; round += 1) {
      const at = Math.floor(random() * running.length);
      const victim = running[at];
      if (victim === undefined) continue;
      const way = random();
      if (way < 0.4) victim.kill();
      else if (way < 0.7) victim.cutOffFromLease();
      else victim.stop();
      running[at] = start(victim.shard);
      await clock.sleep(100 + 700 * random());
    }
    await allHandled(3);
  });

  it('with another number of shards wait until the previous operators have ended, then take over', async () => {
    const two = [0, 1].map((index) => start({ index, of: 2 }));
    await allHandled(2);
    for (const index of [0, 1, 2]) start({ index, of: 3 });
    await clock.sleep(3000);
    await allHandled(2);
    two[0]?.stop();
    two[1]?.kill();
    await allHandled(3);
  });
});
