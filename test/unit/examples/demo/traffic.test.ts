import assert from 'node:assert/strict';
import { Traffic } from '../../../../examples/demo/traffic.ts';

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A server that answers a request only when the test asks for it. */
class Desk {
  readonly waiting: { answer: () => void; fail: (error: Error) => void }[] = [];
  send = (): Promise<void> => new Promise((answer, fail) => this.waiting.push({ answer, fail }));
}

describe('Traffic', () => {
  it('counts each request once, when it ends', async () => {
    const desk = new Desk();
    let now = 0;
    const traffic = new Traffic({ lanes: 2, rest: () => Promise.resolve(), send: desk.send, monotonic: () => now });
    assert.deepEqual(traffic.tally, { answered: 0, failed: 0, slowestMs: 0, failures: [] });
    now = 40;
    desk.waiting[0]!.answer();
    await settle();
    assert.equal(traffic.tally.answered, 1);
    assert.equal(desk.waiting.length, 3, 'the lane sends the next one');
    desk.waiting[1]!.fail(new Error('503', { cause: new Error('refused') }));
    await settle();
    const stopped = traffic.stop();
    desk.waiting[2]!.answer();
    desk.waiting[3]!.answer();
    assert.deepEqual(await stopped, { answered: 3, failed: 1, slowestMs: 40, failures: ['503: refused'] });
    assert.equal(desk.waiting.length, 4, 'nothing was sent after stop');
  });

  it('ends by itself after the given number of requests, with any number of lanes', async () => {
    let sent = 0;
    const traffic = new Traffic({
      lanes: 3,
      most: 10,
      rest: () => Promise.resolve(),
      monotonic: () => sent,
      send: () => ((sent += 1), settle()),
    });
    await traffic.ended();
    assert.equal(sent, 10);
    assert.equal(traffic.tally.answered, 10);
    assert.equal(traffic.latenciesMs.length, 10);
  });

  it('never retries a failed request', async () => {
    let sent = 0;
    const traffic = new Traffic({
      lanes: 1,
      rest: () => Promise.resolve(),
      monotonic: () => 0,
      send: () => ((sent += 1), sent > 7 ? settle() : Promise.reject(new Error('no'))),
    });
    await settle();
    const { answered, failed, failures } = await traffic.stop();
    assert.equal(answered + failed, sent);
    assert.equal(failed, 7);
    assert.equal(failures.length, 5);
  });
});
