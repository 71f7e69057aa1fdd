/** The loop: how often the runtime's counters are read, and when the loop ends. */
import assert from 'node:assert/strict';
import { Collector, drainLimitMs } from '../../../../runtime/sidecar/collector.ts';
import type { Reading } from '../../../../runtime/sidecar/counters-client.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';
import { fullReport } from '../../../support/reports.ts';

const { seq: _, ...counters } = fullReport;
const up: Reading = { kind: 'read', counters };
const gone: Reading = { kind: 'gone', why: 'nothing listens' };
const hanging: Reading = { kind: 'silent', why: 'no answer' };

function world(first: Reading): {
  clock: HandClock;
  asked: () => number;
  say: (reading: Reading) => void;
  collector: Collector;
  stop: AbortController;
  ended: () => boolean;
} {
  const clock = new HandClock();
  let reading = first;
  let asked = 0;
  let ended = false;
  const read = (): Promise<Reading> => {
    asked += 1;
    return Promise.resolve(reading);
  };
  const collector = new Collector({ revision: '6c9f01ab2d', clock, random: () => 0, read });
  const stop = new AbortController();
  void collector.run(stop.signal).then(() => {
    ended = true;
  });
  return {
    clock,
    asked: () => asked,
    say: (next) => {
      reading = next;
    },
    collector,
    stop,
    ended: () => ended,
  };
}

describe('Collector', () => {
  it('reads once a second while the runtime answers', async () => {
    const { clock, asked, collector } = world(up);
    await clock.advance(10_000);
    assert.equal(asked(), 11);
    assert.equal(collector.report.seq, 11);
  });

  it('reads less often while the runtime does not answer', async () => {
    const { clock, asked } = world(gone);
    await clock.advance(20_000);
    assert.ok(asked() < 15, `asked ${asked()} times`);
  });

  it('reads a runtime that starts late within the longest pause', async () => {
    const { clock, collector, say } = world(gone);
    await clock.advance(60_000);
    assert.equal(collector.report.ready, false);
    say(up);
    await clock.advance(4_000);
    assert.equal(collector.report.ready, true);
  });

  it('reads during the drain until the socket is closed', async () => {
    const { clock, collector, say, stop, ended } = world(up);
    await clock.advance(2_000);
    stop.abort();
    say({ kind: 'read', counters: { ...counters, ready: false, state: 'draining' } });
    await clock.advance(10_000);
    assert.equal(ended(), false);
    assert.equal(collector.report.state, 'draining');
    say(gone);
    await clock.advance(500);
    assert.equal(ended(), true);
  });

  it('ends at once when the runtime never started', async () => {
    const { clock, stop, ended } = world(gone);
    await clock.advance(3_000);
    stop.abort();
    await settle();
    assert.equal(ended(), true);
  });

  it('ends after drainLimitMs when the runtime hangs', async () => {
    const { clock, stop, ended } = world(hanging);
    stop.abort();
    await clock.advance(drainLimitMs - 1_000);
    assert.equal(ended(), false);
    await clock.advance(2_000);
    assert.equal(ended(), true);
  });

  it('is not alive when a reading never resolves', async () => {
    const clock = new HandClock();
    const collector = new Collector({ revision: 'r', clock, random: () => 0, read: () => new Promise(() => {}) });
    void collector.run(new AbortController().signal);
    await clock.advance(10_000);
    assert.equal(collector.alive, true);
    await clock.advance(30_000);
    assert.equal(collector.alive, false);
  });
});
