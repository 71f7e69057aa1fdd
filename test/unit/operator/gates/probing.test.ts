/**
 * When the operator asks for probes (inputs that sidecars send to both revisions of a rollout to compare their times):
 * it depends on the spec and on the current traffic.
 */
import assert from 'node:assert/strict';
import { emptyLedger, fold } from '../../../../operator/analysis/ledger.ts';
import { probesWanted, requestsPerMinute } from '../../../../operator/gates/probing.ts';
import { reportsOfPods } from '../../../support/block-reports.ts';

describe('probesWanted', () => {
  for (const [name, spec, perMinute, want] of [
    ['by default at a low rate when there is little traffic', undefined, 20, 60],
    ['by default not at all when live requests suffice', undefined, 200, undefined],
    ['at the rate of the spec', { perMinute: 12 }, 20, 12],
    ['always with mode Always', { mode: 'Always' }, 100_000, 60],
    ['never with mode Off', { mode: 'Off' }, 0, undefined],
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

  it('counts both revisions from ten minutes before the window', () => {
    const before = requestsPerMinute(ledger, ['stable', 'candidate'], { window: 100, until: 100 });
    assert.ok(Math.abs(before - 60) < 6, `${before}`);
    const inside = requestsPerMinute(ledger, ['stable', 'candidate'], { window: 100, until: 130 });
    assert.ok(Math.abs(inside - 90) < 9, `${inside}`);
  });

  it('does not count blocks without reports as blocks without requests', () => {
    const late = requestsPerMinute(ledger, ['stable'], { window: 72, until: 78 });
    assert.ok(Math.abs(late - 60) < 20, `${late}`);
  });

  it('is 0 without reports', () =>
    assert.equal(requestsPerMinute(emptyLedger, ['stable'], { window: 100, until: 130 }), 0));
});
