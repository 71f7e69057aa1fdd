/** The queue of keys (names of objects to process): deduplication, order, back-off, delays and closing. */
import assert from 'node:assert/strict';
import { createRegistry, expose } from '../../../../lib/metrics.ts';
import type { Priority } from '../../../../kube/controller/fair-queue.ts';
import { WorkQueue } from '../../../../kube/controller/workqueue.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';

type World = {
  readonly queue: WorkQueue;
  readonly clock: HandClock;
  readonly taken: string[];
  readonly metric: (line: string) => Promise<number>;
};

/** A queue on a hand clock, the list of the keys that were taken from it, and a function that reads a metric. */
function world(priorityOf?: (key: string) => Priority): World {
  const clock = new HandClock();
  const registry = createRegistry();
  const queue = new WorkQueue({ name: 'models', clock, registry, ...(priorityOf === undefined ? {} : { priorityOf }) });
  const metric = async (name: string): Promise<number> => {
    const { body } = await expose(registry);
    const line = body.split('\n').find((text) => text.startsWith(`${name}{`));
    return Number(line?.split(' ').at(-1) ?? Number.NaN);
  };
  return { queue, clock, taken: [], metric };
}

async function takeInto({ queue, taken }: World, times = 1): Promise<void> {
  for (let i = 0; i < times; i += 1) void queue.take().then((key) => taken.push(key ?? '(closed)'));
  await settle();
}

describe('WorkQueue', () => {
  it('hands out a key once that was added ten times', async () => {
    const w = world();
    for (let i = 0; i < 10; i += 1) w.queue.add('a');
    await takeInto(w, 2);
    assert.deepEqual(w.taken, ['a']);
  });

  it('hands out keys in the order of their first add', async () => {
    const w = world();
    for (const key of ['b', 'a', 'b', 'c']) w.queue.add(key);
    await takeInto(w, 3);
    assert.deepEqual(w.taken, ['b', 'a', 'c']);
  });

  it('hands out urgent keys first, by their own priority or by the priority of the work', async () => {
    const w = world((key) => (key === 'a/rollback' ? 'urgent' : 'low'));
    w.queue.add('a/rest');
    w.queue.add('a/report', 'urgent');
    w.queue.add('a/spec', 'normal');
    w.queue.add('b/rest');
    w.queue.add('a/rollback', 'normal');
    await takeInto(w, 5);
    assert.deepEqual(w.taken, ['a/report', 'a/rollback', 'a/spec', 'a/rest', 'b/rest']);
  });

  it('keeps the most urgent priority that was added while a worker has the key', async () => {
    const w = world();
    w.queue.add('a/1');
    await takeInto(w, 1);
    w.queue.add('a/1', 'normal');
    w.queue.add('a/1', 'urgent');
    w.queue.add('a/1', 'low');
    w.queue.add('a/2', 'normal');
    w.queue.done('a/1');
    await takeInto(w, 2);
    assert.deepEqual(w.taken, ['a/1', 'a/1', 'a/2']);
  });

  it('asks for the priority of a delayed key when its time has come', async () => {
    let priority: Priority = 'low';
    const w = world((key) => (key === 'a/later' ? priority : 'normal'));
    w.queue.addAfter('a/later', 1000);
    w.queue.add('a/now');
    priority = 'urgent';
    await w.clock.advance(1000);
    await takeInto(w, 2);
    assert.deepEqual(w.taken, ['a/later', 'a/now']);
  });

  it('gives a key to a taker that was already waiting', async () => {
    const w = world();
    await takeInto(w, 2);
    w.queue.add('a');
    w.queue.add('b');
    await settle();
    assert.deepEqual(w.taken, ['a', 'b']);
  });

  it('never gives one key to two workers, and gives it once more when it was added meanwhile', async () => {
    const w = world();
    w.queue.add('a');
    await takeInto(w, 3);
    w.queue.add('a');
    w.queue.add('a');
    await settle();
    assert.deepEqual(w.taken, ['a']);
    w.queue.done('a');
    await settle();
    assert.deepEqual(w.taken, ['a', 'a']);
    w.queue.done('a');
    await settle();
    assert.deepEqual(w.taken, ['a', 'a']);
  });

  it('keeps the earlier of two times', async () => {
    const w = world();
    await takeInto(w, 2);
    w.queue.addAfter('a', 1000);
    w.queue.addAfter('a', 100);
    w.queue.addAfter('a', 5000);
    await w.clock.advance(99);
    assert.deepEqual(w.taken, []);
    await w.clock.advance(1);
    assert.deepEqual(w.taken, ['a']);
    w.queue.done('a');
    await w.clock.advance(10_000);
    assert.deepEqual(w.taken, ['a']);
    assert.equal(w.clock.pending, 0);
  });

  it('keeps the more urgent of two priorities of a delayed key', async () => {
    const w = world();
    w.queue.addAfter('a/calm', 100);
    w.queue.addAfter('a/late', 100);
    w.queue.addAfter('a/late', 500, 'urgent');
    await w.clock.advance(100);
    await takeInto(w, 1);
    assert.deepEqual(w.taken, ['a/late']);
  });

  it('doubles the wait of a key that fails, up to 1000 s', () => {
    const { queue } = world();
    const waits = Array.from({ length: 20 }, () => queue.addRateLimited('a'));
    assert.deepEqual(waits.slice(0, 4), [5, 10, 20, 40]);
    assert.equal(waits.at(-1), 1_000_000);
    assert.equal(queue.failures('a'), 20);
  });

  it('starts from the beginning after a success', () => {
    const { queue } = world();
    for (let i = 0; i < 5; i += 1) queue.addRateLimited('a');
    queue.forget('a');
    assert.equal(queue.addRateLimited('a'), 5);
  });

  it('lets 100 keys fail at once and spreads the rest at ten a second', () => {
    const { queue } = world();
    const waits = Array.from({ length: 130 }, (_, i) => queue.addRateLimited(`key-${i}`));
    assert.equal(waits[99], 5);
    assert.equal(waits[100], 100);
    assert.equal(waits[129], 3000);
  });

  it('never waits less than it was asked to', () => {
    const { queue } = world();
    assert.equal(queue.addRateLimited('a', 3000), 3000);
  });

  it('closes after the last key in flight is done, hands out nothing more and leaves no timer', async () => {
    const w = world();
    w.queue.add('a');
    await takeInto(w, 2);
    w.queue.add('b');
    w.queue.addAfter('c', 50);
    w.queue.add('a');
    let closed = false;
    // The second taker got 'b', so two keys are in flight.
    const end = w.queue.close().then(() => {
      closed = true;
    });
    await takeInto(w, 1);
    assert.deepEqual(w.taken, ['a', 'b', '(closed)']);
    w.queue.done('a');
    await settle();
    assert.equal(closed, false);
    w.queue.done('b');
    await end;
    w.queue.add('d');
    await w.clock.advance(1000);
    assert.deepEqual([w.queue.length, w.clock.pending], [0, 0]);
  });

  it('ends the wait of takers when it closes', async () => {
    const w = world();
    await takeInto(w, 2);
    await w.queue.close();
    await settle();
    assert.deepEqual(w.taken, ['(closed)', '(closed)']);
  });

  it('exports metrics of depth, adds, retries and a hanging worker', async () => {
    const w = world();
    w.queue.add('a');
    w.queue.add('a');
    w.queue.add('b');
    assert.equal(await w.metric('workqueue_depth'), 2);
    assert.equal(await w.metric('workqueue_adds_total'), 2);
    await takeInto(w, 1);
    await w.clock.advance(7000);
    assert.equal(await w.metric('workqueue_longest_running_processor_seconds'), 7);
    assert.equal(await w.metric('workqueue_unfinished_work_seconds'), 7);
    w.queue.done('a');
    w.queue.addRateLimited('a');
    assert.equal(await w.metric('workqueue_longest_running_processor_seconds'), 0);
    assert.equal(await w.metric('workqueue_work_duration_seconds_sum'), 7);
    assert.equal(await w.metric('workqueue_retries_total'), 1);
  });

  it('works through 20,000 keys with eight workers, each exactly once', async () => {
    const { queue } = world();
    const seen = new Map<string, number>();
    const worker = async (): Promise<void> => {
      for (let key = await queue.take(); key !== undefined; key = await queue.take()) {
        seen.set(key, (seen.get(key) ?? 0) + 1);
        queue.done(key);
      }
    };
    for (let i = 0; i < 20_000; i += 1) queue.add(`key-${i}`);
    const workers = Array.from({ length: 8 }, () => worker());
    while (queue.length > 0) await settle();
    await queue.close();
    await Promise.all(workers);
    assert.equal(seen.size, 20_000);
    assert.ok([...seen.values()].every((times) => times === 1));
  });
});
