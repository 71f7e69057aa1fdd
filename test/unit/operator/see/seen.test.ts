/** seenOf combines the observed data of a pass (one run of the operator for a model) once and does not change it. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Checks, GateReading, Trouble } from '../../../../operator/rollout/state.ts';
import { observe } from '../../../../operator/see/observe.ts';
import { seenOf, wholeRecords, type SeenParts } from '../../../../operator/see/seen.ts';
import { FakeCluster } from '../../../support/fake-cluster.ts';
import { given } from '../../../support/given.ts';
import { HandClock } from '../../../support/hand-clock.ts';
import { withoutComments } from '../../../support/imports.ts';
import { operatorSettings } from '../../../support/operator-of.ts';

const cluster = new FakeCluster(new HandClock());
cluster.put(given.spec());
const observed = observe('ml/ranker', cluster.caches, operatorSettings) ?? assert.fail('no model');
const { target } = observed.rollout;
const trouble: Trouble = { reason: 'GoldenSetMissing', message: 'ConfigMap set does not exist', fatal: false };
const checks: Checks = { verdict: 'Waiting', reason: 'GoldenWaiting', message: '' };
const gates = { window: 1, step: 'Waiting', message: '', absolute: 'None', silent: [] } as GateReading;
const none: SeenParts = { records: observed.records, checks: {} };

describe('the input of a decision', () => {
  it('equals the observed data when there are no other parts', () =>
    assert.deepEqual(seenOf(observed, none), observed));

  // prettier-ignore
  const rows: readonly { readonly name: string; readonly parts: Partial<SeenParts>; readonly want: unknown }[] = [
    { name: 'checks in the facts of their revision', parts: { checks: { [target]: checks } },
      want: [{ checks, trouble: undefined }, undefined, undefined] },
    { name: 'the trouble of a held candidate', parts: { held: { revision: target, trouble } },
      want: [{ checks: undefined, trouble }, undefined, target] },
    { name: 'the reading of the gates', parts: { gates },
      want: [{ checks: undefined, trouble: undefined }, gates, undefined] },
  ];
  for (const { name, parts, want } of rows) {
    it(`has ${name}`, () => {
      const { rollout, held } = seenOf(observed, { ...none, ...parts });
      const pods = rollout.pods[target];
      assert.deepEqual([{ checks: pods?.checks, trouble: pods?.trouble }, rollout.gates, held], want);
    });
  }

  it('prefers the trouble of the pods to the trouble of a golden set', () => {
    const own: Trouble = { reason: 'OOMKilled', message: 'killed', fatal: false };
    const facts = observed.rollout.pods[target] ?? assert.fail('no pods');
    const pods = { [target]: { ...facts, trouble: own } };
    const troubled = { ...observed, rollout: { ...observed.rollout, pods } };
    const seen = seenOf(troubled, { ...none, held: { revision: target, trouble } });
    assert.deepEqual(seen.rollout.pods[target]?.trouble, own);
  });

  it('has the token and the frozen golden set in the record of each revision', () => {
    const golden = { config: { id: 'sha256:0' }, attempt: 2 } as never;
    const records = wholeRecords(
      observed,
      new Map([[target, 'secret']]),
      new Map([[target, { golden, generation: 9 }]]),
    );
    assert.deepEqual(records.get(target), { ...observed.records.get(target), token: 'secret', golden, generation: 9 });
  });

  it('is built by seen.ts only', () => {
    const root = join(import.meta.dirname, '..', '..', '..', '..', 'operator');
    const changing = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && path !== 'see/seen.ts')
      .filter((path) =>
        /\.\.\.(?:seen|observed)(?:\.rollout)?,/.test(withoutComments(readFileSync(join(root, path), 'utf8'))),
      );
    assert.deepEqual(changing, []);
  });
});
