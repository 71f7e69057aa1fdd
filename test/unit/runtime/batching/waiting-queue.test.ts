/** The bounds and sums of the waiting requests. */
import assert from 'node:assert/strict';
import { inTurns } from '../../../../runtime/batching/turns.ts';
import { WaitingQueue, type Queued } from '../../../../runtime/batching/waiting-queue.ts';

const item = (more: Partial<Queued> = {}): Queued => ({
  tier: 'interactive',
  client: 'a',
  rows: 1,
  inputBytes: 10,
  workMs: 5,
  ...more,
});
function queueOf(...items: readonly Queued[]): WaitingQueue<Queued> {
  const queue = new WaitingQueue<Queued>();
  for (const one of items) queue.add(one);
  return queue;
}
const limits = { requests: 3, rows: 10, bytes: 100 };

describe('WaitingQueue', () => {
  for (const { name, queue, asked, want } of [
    { name: 'accepts what fits', queue: queueOf(item(), item()), asked: item(), want: undefined },
    { name: 'is bounded by requests', queue: queueOf(item(), item(), item()), asked: item(), want: 'requests' },
    { name: 'is bounded by rows', queue: queueOf(item({ rows: 8 })), asked: item({ rows: 3 }), want: 'rows' },
    { name: 'is bounded by bytes', queue: queueOf(item({ inputBytes: 95 })), asked: item(), want: 'bytes' },
    {
      name: 'accepts any size while it is empty',
      queue: queueOf(),
      asked: item({ rows: 99, inputBytes: 1e9 }),
      want: undefined,
    },
    {
      name: 'counts each tier by itself',
      queue: queueOf(item({ tier: 'bulk' }), item({ tier: 'bulk' }), item({ tier: 'bulk' })),
      asked: item(),
      want: undefined,
    },
  ])
    // prettier-ignore
    it(name, () => assert.equal(queue.placeFor(asked, limits).exceeded?.what, want));

  it('forgets what left, without rounding errors', () => {
    const queue = queueOf(...[0.1, 0.2, 0.3].map((workMs) => item({ workMs })), item({ tier: 'bulk', client: 'z' }));
    assert.deepEqual(queue.size, { requests: 4, rows: 4, bytes: 40 });
    assert.equal(queue.take([0, 1, 2]).length, 3);
    assert.deepEqual(queue.size, { requests: 1, rows: 1, bytes: 10 });
    assert.equal(queue.workBefore('interactive', 'a'), 0);
    assert.deepEqual(queue.placeFor(item({ rows: 99 }), limits), { fits: true, yields: [] });
  });

  const full = queueOf(item(), item({ client: 'b' }), item({ rows: 4 }), item({ client: 'a', tier: 'bulk' }));
  for (const { name, asked, bounds, want } of [
    {
      name: 'lets the newest request of the client with most requests yield',
      asked: item({ client: 'z' }),
      bounds: limits,
      want: { fits: true, yields: [2], exceeded: { what: 'requests', limit: 3 } },
    },
    {
      name: 'lets no request of the client itself yield',
      asked: item(),
      bounds: limits,
      want: { fits: false, exceeded: { what: 'requests', limit: 3 } },
    },
    {
      name: 'lets requests yield only until the new one fits',
      asked: item({ client: 'z', rows: 7 }),
      bounds: { ...limits, requests: 9 },
      want: { fits: true, yields: [2], exceeded: { what: 'rows', limit: 10 } },
    },
    {
      name: 'lets none yield if the new one would not fit even then',
      asked: item({ client: 'z', rows: 9 }),
      bounds: limits,
      want: { fits: false, exceeded: { what: 'requests', limit: 3 } },
    },
  ])
    it(name, () => assert.deepEqual(full.placeFor(asked, bounds), want));

  it('gives clients equal time, though one of them has only one request waiting at any time', () => {
    const queue = new WaitingQueue<Queued>();
    const add = (client: string, workMs: number): void => {
      const asked = item({ client, workMs });
      queue.add({ ...asked, turn: queue.turnOf(asked) });
    };
    for (let request = 0; request < 50; request += 1) add('many', 1);
    add('one', 10);
    const ranMs = { many: 0, one: 0 };
    for (let run = 0; run < 44; run += 1) {
      const [next = 0] = inTurns(queue.list, [...queue.list.keys()]);
      const [{ client, workMs } = item()] = queue.serve([next]);
      ranMs[client as keyof typeof ranMs] += workMs;
      add(client ?? '', workMs);
    }
    assert.deepEqual(ranMs, { many: 40, one: 40 });
  });

  it('predicts the work before a request by the turns of clients', () => {
    const queue = queueOf(item({ workMs: 90 }), item({ workMs: 10 }), item({ tier: 'bulk', workMs: 7 }));
    assert.equal(queue.workBefore('interactive', 'a'), 100);
    assert.equal(queue.workBefore('interactive', 'z'), 0);
    assert.equal(queue.workBefore('bulk', 'a'), 107);
  });
});
