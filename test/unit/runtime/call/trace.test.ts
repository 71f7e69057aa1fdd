/** The time that a request spends in each stage. */
import assert from 'node:assert/strict';
import { RequestTrace, serverTiming } from '../../../../runtime/call/trace.ts';
import { HandClock } from '../../../support/hand-clock.ts';

describe('RequestTrace', () => {
  it('splits the time between the last byte of the request and the first byte of the answer', async () => {
    const clock = new HandClock();
    const trace = new RequestTrace(clock);
    await clock.advance(1000);
    trace.received();
    await clock.advance(3);
    trace.decoded(12);
    await clock.advance(50);
    trace.inferred({ queueMs: 20, inferMs: 30 });
    await clock.advance(2);
    trace.encoded();
    assert.deepEqual(
      [trace.times, trace.totalMs, trace.elements],
      [{ decode: 3, queue: 20, infer: 30, encode: 2 }, 55, 12],
    );
  });

  it('has a service time without the time in the queue, and none for a shared run', async () => {
    const serviceMs = async (result: {
      readonly queueMs: number;
      readonly inferMs: number;
      readonly isShared?: boolean;
    }): Promise<number | undefined> => {
      const clock = new HandClock();
      const trace = new RequestTrace(clock);
      await clock.advance(3);
      trace.decoded(12);
      await clock.advance(50);
      trace.inferred(result);
      await clock.advance(2);
      trace.encoded();
      return trace.serviceMs;
    };
    assert.equal(await serviceMs({ queueMs: 20, inferMs: 30 }), 35);
    assert.equal(await serviceMs({ queueMs: 20, inferMs: 30, isShared: true }), undefined);
  });

  it('has no service time for a refused request', () => {
    const trace = new RequestTrace(new HandClock());
    trace.encoded();
    assert.equal(trace.serviceMs, undefined);
  });

  it('has only the stages that a refused request reached', async () => {
    const clock = new HandClock();
    const trace = new RequestTrace(clock);
    await clock.advance(4);
    trace.encoded();
    assert.deepEqual([trace.times, trace.elements], [{ decode: 4 }, 0]);
  });

  it('does not count the time of a failed run as decoding', async () => {
    const clock = new HandClock();
    const trace = new RequestTrace(clock);
    await clock.advance(4);
    trace.decoded(1);
    await clock.advance(100);
    trace.encoded();
    assert.deepEqual(trace.times, { decode: 4 });
  });
});

describe('serverTiming', () => {
  it('names every stage', () =>
    assert.equal(
      serverTiming({ decode: 1.23456, infer: 20 }),
      'decode;dur=1.235, queue;dur=0.000, infer;dur=20.000, encode;dur=0.000',
    ));
});
