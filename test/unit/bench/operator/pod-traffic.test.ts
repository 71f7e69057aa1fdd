/** The traffic that a fake pod reports to the measured operator. */
import assert from 'node:assert/strict';
import { blockSeconds } from '../../../../api/report.ts';
import { Random } from '../../../../bench/canary/random.ts';
import { PodTraffic } from '../../../../bench/operator/pod-traffic.ts';

const beginMs = 1000 * blockSeconds * 1_000_000;
const minute = 60_000;
const traffic = (): PodTraffic => new PodTraffic(new Random(1), beginMs);

const sum = (pod: PodTraffic, what: 'ok' | 'failed'): number =>
  pod
    .blocks(0)
    .counts.flatMap((block) => block.traffic)
    .reduce((total, { ok, errors }) => total + (what === 'ok' ? ok : (errors['bug'] ?? 0)), 0);

describe('PodTraffic', () => {
  it('counts as many requests as the rate says, within five standard deviations', () => {
    const pod = traffic();
    pod.advance(beginMs + 10 * minute, { perMinute: 400, failing: 0 });
    assert.ok(Math.abs(sum(pod, 'ok') - 4000) < 5 * Math.sqrt(4000));
    assert.equal(sum(pod, 'failed'), 0);
  });

  it('fails the given share', () => {
    const pod = traffic();
    pod.advance(beginMs + 10 * minute, { perMinute: 400, failing: 0.5 });
    assert.ok(Math.abs(sum(pod, 'failed') - 2000) < 400);
  });

  it('puts requests into the block of their time', () => {
    const pod = traffic();
    pod.advance(beginMs + minute - 1, { perMinute: 400, failing: 0 });
    const { since, until, counts } = pod.blocks(0);
    assert.deepEqual([since, until, counts.length], [1_000_000, 1_000_002, 3]);
  });

  it('gives blocks from the asked one on', () => {
    const pod = traffic();
    pod.advance(beginMs + minute - 1, { perMinute: 400, failing: 0 });
    assert.deepEqual(
      pod.blocks(1_000_001).counts.map(({ index }) => index),
      [1_000_001, 1_000_002],
    );
  });

  it('raises the sequence number of a block with every change', () => {
    const pod = traffic();
    const seqs = [5000, 10_000].map((ms) => {
      pod.advance(beginMs + ms, { perMinute: 4000, failing: 0 });
      return pod.blocks(0).counts[0]?.seq;
    });
    assert.deepEqual(seqs, [1, 2]);
  });

  it('keeps half an hour', () => {
    const pod = traffic();
    pod.advance(beginMs + 60 * minute - 1, { perMinute: 100, failing: 0 });
    assert.equal(pod.blocks(0).counts.length, 90);
  });
});
