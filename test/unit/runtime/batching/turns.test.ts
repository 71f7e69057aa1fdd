/** Turns of clients whose requests wait. */
import assert from 'node:assert/strict';
import { clientToYield, inTurns, Turns, workBefore } from '../../../../runtime/batching/turns.ts';

/** A letter is a client, a number the turn of its request: "a5". */
const queueOf = (text: string) => text.split(' ').map((one) => ({ client: one[0], turn: Number(one.slice(1)) }));
const order = (text: string): string => {
  const queue = queueOf(text);
  const positions = inTurns(queue, [...queue.keys()]);
  return positions.map((position) => text.split(' ')[position]).join(' ');
};

describe('inTurns', () => {
  for (const { name, queue, want } of [
    { name: 'keeps the order of one client', queue: 'a9 a1 a5', want: 'a9 a1 a5' },
    { name: 'orders the requests of several clients by turns', queue: 'a0 a5 a9 z0', want: 'a0 z0 a5 a9' },
    { name: 'keeps the most urgent first among equal turns', queue: 'a3 z3 y3', want: 'a3 z3 y3' },
    { name: "gives a client's first turn to its most urgent request", queue: 'a9 a1 z5', want: 'a9 z5 a1' },
  ])
    it(name, () => assert.equal(order(queue), want));

  it('only orders the requests that it was given', () => {
    assert.deepEqual(inTurns(queueOf('a5 b5 a6 z5'), [0, 2, 3]), [0, 3, 2]);
  });
});

describe('Turns', () => {
  it('are as far apart as the requests of a client take time', () => {
    const turns = new Turns();
    assert.deepEqual([turns.next('a', 5), turns.next('a', 7), turns.next('a', 1)], [0, 5, 12]);
    assert.deepEqual([turns.next('z', 5), turns.next('z', 5)], [0, 5]);
  });

  it('count requests while their time is not known', () => {
    const turns = new Turns();
    assert.deepEqual([turns.next('a', 0), turns.next('a', 0)], [0, 1]);
  });

  it('begin at the turn that is served, for a client that comes later', () => {
    const turns = new Turns();
    for (let request = 0; request < 4; request += 1) turns.next('a', 5);
    turns.served([10, 15]);
    assert.equal(turns.next('z', 5), 10);
    assert.equal(turns.next('a', 5), 20);
    turns.emptied();
    assert.equal(turns.next('a', 5), 10);
  });

  it('go back when a request does not run', () => {
    const turns = new Turns();
    turns.next('a', 5);
    turns.next('a', 7);
    turns.dropped('a', 7);
    assert.equal(turns.next('a', 1), 5);
  });
});

describe('workBefore', () => {
  const work = new Map([
    ['greedy', 1000],
    ['other', 20],
  ]);
  for (const { client, want } of [
    { client: 'new', want: 0 },
    { client: 'other', want: 40 },
    { client: 'greedy', want: 1020 },
  ])
    it(`is ${want} ms for the client ${client}`, () => assert.equal(workBefore(work, client), want));
});

describe('clientToYield', () => {
  const counts = new Map<string | undefined, number>([
    ['greedy', 5],
    ['other', 3],
    [undefined, 1],
  ]);
  for (const { name, client, want } of [
    { name: 'is the client with most requests', client: 'new', want: 'greedy' },
    { name: 'is another client for one with two fewer', client: 'other', want: 'greedy' },
    { name: 'is undefined for the client with most requests itself', client: 'greedy', want: undefined },
  ])
    it(name, () => assert.equal(clientToYield(counts, client)?.client, want));

  it('is undefined while all clients have as many, or one more', () => {
    assert.equal(clientToYield(new Map([['a', 2], ['b', 2]]), 'b'), undefined);
    assert.equal(clientToYield(new Map([['a', 3], ['b', 2]]), 'b'), undefined);
    assert.equal(clientToYield(new Map(), 'b'), undefined);
  }); // prettier-ignore
});
