/** A worker that ran large sizes while the model was measured is replaced, and the new worker is warm. */
import assert from 'node:assert/strict';
import { renewWorker } from '../../../../runtime/engine/renew.ts';
import type { EngineBatch, EngineResult } from '../../../../runtime/engine/port.ts';
import type { Signature } from '../../../../runtime/engine/signature.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const signature: Signature = {
  inputs: [{ name: 'x', type: 'float32', dims: [1, 'length'] }],
  outputs: [{ name: 'y', type: 'float32', dims: [1] }],
};

/** An engine of two workers; a replaced worker is ready when the test says so. */
class TwoWorkers {
  ready = 2;
  readonly wanted = 2;
  readonly runs: EngineBatch[] = [];
  get workers(): { readonly ready: number; readonly wanted: number } {
    return { ready: this.ready, wanted: this.wanted };
  }
  get freeSlots(): number {
    return this.ready;
  }
  recycle(): void {
    this.ready -= 1;
  }
  run(batch: EngineBatch): Promise<EngineResult> {
    this.runs.push(batch);
    return Promise.resolve({ parts: [], together: true } as unknown as EngineResult);
  }
}

describe('renewWorker', () => {
  const given = () => {
    const [engine, clock, stop] = [new TwoWorkers(), new HandClock(), new AbortController()];
    let done = false;
    const renewed = renewWorker({ engine, signature }, { fill: 8, clock, timeoutMs: 1000, stop: stop.signal }).then(
      () => {
        done = true;
      },
    );
    return { engine, clock, stop, renewed, isDone: () => done };
  };

  it('waits for the new worker, and warms all workers', async () => {
    const { engine, clock, renewed, isDone } = given();
    await clock.advance(100);
    assert.deepEqual([engine.ready, isDone()], [1, false]);
    engine.ready = 2;
    await clock.advance(10);
    await renewed;
    assert.equal(engine.runs.length, 6);
    assert.deepEqual(engine.runs[0]?.parts[0]?.['x']?.dims, [1, 8]);
  });

  it('ends at the deadline without the new worker', async () => {
    const { engine, clock, renewed } = given();
    await clock.advance(2000);
    await renewed;
    assert.equal(engine.runs.length, 0);
  });

  it('ends when it is stopped', async () => {
    const { engine, clock, stop, renewed } = given();
    stop.abort();
    await clock.advance(10);
    await renewed;
    assert.equal(engine.runs.length, 0);
  });
});
