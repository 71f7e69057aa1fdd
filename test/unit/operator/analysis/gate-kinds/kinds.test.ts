/** The tables of gate kinds are complete, and only code in the folder gate-kinds/ compares with a gate's kind. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gateKinds, gateParts, gatesIn, type PartsSpec } from '../../../../../operator/analysis/gate-kinds/kinds.ts';
import { withoutComments } from '../../../../support/imports.ts';

const everything: PartsSpec = {
  latency: [
    { name: 'p95', quantile: '0.95', maxIncrease: '15%' },
    { name: 'slo', quantile: '0.99', max: '60ms' },
  ],
  errors: { maxIncrease: '1%', max: '2%' },
  quality: { min: '0.98' },
};

describe('the kinds of gates', () => {
  it('can all be written in a spec', () => {
    const kinds = gatesIn(everything).map(({ kind }) => kind);
    assert.deepEqual(kinds.sort(), Object.keys(gateKinds).sort());
  });

  for (const [name, kind] of Object.entries(gateKinds)) {
    it(`have a unit if they compare, and a limit for one revision if they do not: ${name}`, () => {
      assert.deepEqual([kind.unit !== undefined, kind.imagined !== undefined], [kind.isCompared, kind.isCompared]);
      assert.ok(!(kind.isCompared && kind.isForOne), 'a comparison needs two revisions');
    });
  }

  it('give each of their gates a different name', () => {
    const names = gatesIn(everything).map((gate) => gate.name);
    const fixed = Object.values(gateParts).flatMap((part) => part.names);
    assert.equal(new Set(names).size, names.length);
    for (const name of fixed) {
      assert.ok(names.includes(name), name);
      const latency = [{ name, quantile: '0.95', maxIncrease: '15%' }];
      assert.throws(() => gatesIn({ latency }), { code: 'FIELD_INVALID' });
    }
  });

  it('are tested for only in their own folder', () => {
    const root = join(import.meta.dirname, '..', '..', '..', '..', '..');
    const asking = new RegExp(`(?:[!=]==|case) '(?:${Object.keys(gateKinds).join('|')})'`);
    const found = ['operator', 'cli']
      .flatMap((folder) =>
        readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
      )
      .filter((path) => path.endsWith('.ts') && !path.includes('gate-kinds/'))
      .filter((path) => asking.test(withoutComments(readFileSync(join(root, path), 'utf8'))));
    assert.deepEqual(found, []);
  });
});
