/** Whether probes are wanted, by the spec and by the traffic that there is. */
import assert from 'node:assert/strict';
import { emptyLedger, fold } from '../../../../operator/analysis/ledger.ts';
import { probesWanted, requestsPerMinute } from '../../../../operator/gates/probing.ts';
import { reportsOfPods } from '../../../support/block-reports.ts';

describe('probesWanted', () => {
  for (const [name, spec, perMinute, want] of [
    ['by default a trickle where there is hardly any traffic', undefined, 20, 60],
    ['by default none where live requests decide', undefined, 200, undefined],
    ['at the rate that the spec says', { perMinute: 12 }, 20, 12],
    ['always where the spec says so', { mode: 'Always' }, 100_000, 60],
    ['never where the spec says so', { mode: 'Off' }, 0, undefined],
  ] as const) {
    it(name, () => assert.equal(probesWanted(spec, perMinute), want));
  }
});

describe('requestsPerMinute', () => {
  const shape = { first: 70, blocks: 60, pods: 2, perBlock: 10, factor: 1, failures: 0, seed: 3 };
  const ledger = [
    ...reportsOfPods('stable', shape),
    ...reportsOfPods('candidate', { ...shape, first: 100, blocks: 30, seed: 4 }),
  ].reduce(fold, emptyLedger);

  it('is that of both revisions in the ten minutes before the window and in it', () => {
    const before = requestsPerMinute(ledger, ['stable', 'candidate'], { window: 100, until: 100 });
    assert.ok(Math.abs(before - 60) < 6, `${before}`);
    const inside = requestsPerMinute(ledger, ['stable', 'candidate'], { window: 100, until: 130 });
    assert.ok(Math.abs(inside - 90) < 9, `${inside}`);
  });

  it('does not take what nobody has heard of for silence', () => {
    const late = requestsPerMinute(ledger, ['stable'], { window: 72, until: 78 });
    assert.ok(Math.abs(late - 60) < 20, `${late}`);
  });

  it('is none where nothing is known', () =>
    assert.equal(requestsPerMinute(emptyLedger, ['stable'], { window: 100, until: 130 }), 0));
});
