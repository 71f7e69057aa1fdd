/**
 * The controller loop: how each outcome of a pass affects the key and the metrics, and how the loop ends. A pass is one
 * run for one object; its key is the object's namespace and name.
 */
import assert from 'node:assert/strict';
import { AppError } from '../../../../api/errors.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { createRegistry, expose } from '../../../../lib/metrics.ts';
import { Controller, type ControllerDeps, type Reconcile } from '../../../../kube/controller/controller.ts';
import { WorkQueue } from '../../../../kube/controller/workqueue.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';
import { refusal } from '../../../support/memory-kube.ts';

type World = {
  readonly clock: HandClock;
  readonly queue: WorkQueue;
  /** When each pass began, in milliseconds from the start. */
  readonly passes: string[];
  readonly metric: (line: RegExp) => Promise<boolean>;
  readonly stop: AbortController;
  readonly ran: Promise<void>;
};

function start(reconcile: Reconcile, options: Partial<ControllerDeps> = {}): World {
  const clock = new HandClock();
  const registry = createRegistry();
  const queue = new WorkQueue({ name: 'models', clock, registry });
  const began = clock.monotonic();
  const passes: string[] = [];
  const controller = new Controller({
    name: 'models',
    queue,
    clock,
    registry,
    logger: silentLogger,
    workers: 2,
    ...options,
    reconcile: (key, signal) => {
      passes.push(`${key}@${clock.monotonic() - began}`);
      return reconcile(key, signal);
    },
  });
  const stop = new AbortController();
  const ran = controller.run(stop.signal);
  const metric = async (line: RegExp): Promise<boolean> => line.test((await expose(registry)).body);
  return { clock, queue, passes, metric, stop, ran };
}

async function end(world: World): Promise<void> {
  world.stop.abort();
  await world.clock.advance(10_000);
  await world.ran;
}

type Row = {
  name: string;
  first: () => Promise<{ recheckMs?: number }>;
  afterMs: number;
  want: string[];
  result: string;
};

// prettier-ignore
const rows: Row[] = [
  { name: 'forgets a key after a successful pass', first: () => Promise.resolve({}),
    afterMs: 600_000, want: ['m@0'], result: 'success' },
  { name: 'runs another pass when a pass asks for it', first: () => Promise.resolve({ recheckMs: 5000 }),
    afterMs: 600_000, want: ['m@0', 'm@5000'], result: 'requeue_after' },
  { name: 'tries a transient failure again after its backoff',
    first: () => Promise.reject(new AppError('KUBE_UNREACHABLE', { server: 'x', why: 'y' })),
    afterMs: 600_000, want: ['m@0', 'm@5'], result: 'error' },
  { name: 'waits as long as the server asked',
    first: () => Promise.reject(refusal(429, 'TooManyRequests', 'slow',
      7000)), afterMs: 600_000, want: ['m@0', 'm@7000'], result: 'error' },
  { name: 'reads again at once after a conflict, which does not count as an error',
    first: () => Promise.reject(refusal(409, 'Conflict', 'modified')),
    afterMs: 600_000, want: ['m@0', 'm@5'], result: 'requeue' },
  { name: 'does not retry an error of the user', first: () => Promise.reject(refusal(422, 'Invalid', 'spec.x')),
    afterMs: 600_000, want: ['m@0'], result: 'error' },
  { name: 'retries after five minutes when something is missing',
    first: () => Promise.reject(refusal(404, 'NotFound', 'claim')),
    afterMs: 600_000, want: ['m@0', 'm@300000'], result: 'error' },
  { name: 'retries soon when something is not ready',
    first: () => Promise.reject(new AppError('NOT_READY', { state: 'warming' })),
    afterMs: 600_000, want: ['m@0', 'm@1000'], result: 'requeue_after' },
  { name: 'survives a bug and tries again', first: () => Promise.reject(new TypeError('x is undefined')),
    afterMs: 600_000, want: ['m@0', 'm@5'], result: 'error' },
  { name: 'survives an error thrown before the first await', first: () => { throw new TypeError('x is undefined'); },
    afterMs: 600_000, want: ['m@0', 'm@5'], result: 'error' },
];

describe('Controller', () => {
  for (const row of rows) {
    it(row.name, async () => {
      let first = true;
      const world = start(() => {
        if (!first) return Promise.resolve({});
        first = false;
        return row.first();
      });
      world.queue.add('m');
      await world.clock.advance(row.afterMs);
      assert.deepEqual(world.passes, row.want);
      assert.ok(
        await world.metric(
          new RegExp(`controller_runtime_reconcile_total\\{controller="models",result="${row.result}"\\} 1`),
        ),
      );
      await end(world);
    });
  }

  it('doubles the wait of a key that keeps failing, and forgets that after a success', async () => {
    let left = 4;
    const world = start(() =>
      left-- > 0 ? Promise.reject(refusal(500, 'InternalError', 'boom')) : Promise.resolve({}),
    );
    world.queue.add('m');
    await world.clock.advance(1000);
    assert.deepEqual(world.passes, ['m@0', 'm@5', 'm@15', 'm@35', 'm@75']);
    left = 1;
    world.queue.add('m');
    await world.clock.advance(1000);
    assert.deepEqual(world.passes.slice(5), ['m@1000', 'm@1005']);
    await end(world);
  });

  it('counts an error without a code as a panic, but not a refusal', async () => {
    const world = start((key) =>
      Promise.reject(key === 'bug' ? new TypeError('oops') : refusal(500, 'InternalError', 'boom')),
    );
    world.queue.add('bug');
    world.queue.add('other');
    await settle();
    assert.ok(await world.metric(/controller_runtime_reconcile_panics_total\{controller="models"\} 1/));
    assert.ok(await world.metric(/controller_runtime_reconcile_errors_total\{controller="models"\} 2/));
    await end(world);
  });

  it('works on as many keys at once as it has workers, and never on one key twice', async () => {
    const doors = new Map<string, () => void>();
    const world = start((key) => new Promise((resolve) => doors.set(key, () => resolve({}))));
    for (const key of ['a', 'b', 'c', 'a']) world.queue.add(key);
    await settle();
    world.queue.add('a');
    await settle();
    assert.deepEqual(world.passes, ['a@0', 'b@0']);
    assert.ok(await world.metric(/controller_runtime_active_workers\{controller="models"\} 2/));
    doors.get('b')?.();
    await settle();
    assert.deepEqual(world.passes, ['a@0', 'b@0', 'c@0']);
    doors.get('a')?.();
    await settle();
    assert.deepEqual(world.passes, ['a@0', 'b@0', 'c@0', 'a@0']);
    for (const open of doors.values()) open();
    await end(world);
  });

  it('aborts a pass that takes too long and tries again', async () => {
    let reason = '';
    const world = start(
      (_, signal) =>
        new Promise((__, reject) => {
          signal.addEventListener('abort', () => {
            reason = String(signal.reason);
            reject(signal.reason as Error);
          });
        }),
      { timeoutMs: 30_000 },
    );
    world.queue.add('m');
    await world.clock.advance(30_000);
    assert.match(reason, /not done within 30000 ms/);
    await world.clock.advance(10);
    assert.deepEqual(world.passes, ['m@0', 'm@30005']);
    assert.ok(await world.metric(/controller_runtime_reconcile_timeouts_total\{controller="models"\} 1/));
    assert.ok(await world.metric(/controller_runtime_reconcile_panics_total\{controller="models"\} 0/));
    await end(world);
  });

  it('tries again after a pass that took too long, whichever error it then threw', async () => {
    const world = start(
      (_, signal) =>
        new Promise((__, reject) => {
          signal.addEventListener('abort', () => reject(refusal(422, 'Invalid', 'half a request')));
        }),
      { timeoutMs: 30_000 },
    );
    world.queue.add('m');
    await world.clock.advance(31_000);
    assert.deepEqual(world.passes, ['m@0', 'm@30005']);
    await end(world);
  });

  it('lets a pass finish when it is stopped, and does not begin another', async () => {
    let open = (): void => {};
    let aborted = false;
    const world = start(
      (_, signal) =>
        new Promise((resolve) => {
          open = () => resolve({});
          signal.addEventListener('abort', () => {
            aborted = true;
          });
        }),
      { workers: 1 },
    );
    world.queue.add('a');
    world.queue.add('b');
    await settle();
    world.stop.abort();
    await world.clock.advance(3000);
    assert.equal(aborted, false);
    open();
    await world.ran;
    assert.deepEqual(world.passes, ['a@0']);
  });

  it('aborts a pass that continues too long after the controller was stopped', async () => {
    const world = start((_, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({}))), {
      drainMs: 4000,
    });
    world.queue.add('a');
    await settle();
    world.stop.abort();
    await world.clock.advance(3999);
    assert.equal(world.queue.length, 0);
    let ended = false;
    void world.ran.then(() => {
      ended = true;
    });
    await settle();
    assert.equal(ended, false);
    await world.clock.advance(1);
    await world.ran;
  });

  it('ends at once when it was stopped before it ran', async () => {
    const world = start(() => Promise.resolve({}));
    world.stop.abort();
    await world.ran;
    assert.deepEqual(world.passes, []);
  });
});
