/** The times and numbers about steps and gates in docs/rollouts.md equal those that the judge uses. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { blockSeconds, confidences, earlyPromise, tuning } from '../../../operator/analysis/constants.ts';
import { lastToShow, planOf, toShow, type Confidence } from '../../../operator/analysis/plan.ts';

const text = readFileSync(join(import.meta.dirname, '../../../docs/rollouts.md'), 'utf8');
/** The document without line breaks, so that a phrase can be found in it. */
const flat = text.replace(/\s+/g, ' ');
const names: readonly Confidence[] = ['Strict', 'Standard', 'Quick'];
const halfAnHour = 90;

/** The cells after the first one, in the table row whose first cell starts with `begins`. */
function row(begins: string): readonly string[] {
  const line = text.split('\n').find((one) => one.startsWith(`| ${begins}`)) ?? '';
  return line
    .split('|')
    .slice(2, -1)
    .map((cell) => cell.trim());
}
const minutes = (blocks: number): string => `${Number(((blocks * blockSeconds) / 60).toFixed(1))} min`;
const stage = (name: Confidence, at: 0 | 1 | 2): string =>
  confidences[name].relaxes ? minutes(confidences[name].stages[at] * halfAnHour) : 'never less';

describe('how long a step takes, in docs/rollouts.md', () => {
  const rows: readonly (readonly [string, (name: Confidence) => string])[] = [
    ['`NoFail` lasts at least', (name) => minutes(confidences[name].noFailBlocks)],
    ['and, while an increase', (name) => minutes(confidences[name].earlyBlocks)],
    ['a gate on latency can fail from', (name) => minutes(confidences[name].failBlocks)],
    ['a `Pass` shows the limit', (name) => stage(name, 1)],
    ['and, for a default gate, +300 % at p95 and +10 points', (name) => stage(name, 2)],
    ['and the geometric mean', (name) => stage(name, 0)],
    ['good revisions taken back', (name) => `${confidences[name].failAlpha * 100} %`],
  ];
  for (const [begins, of] of rows)
    it(`has the right numbers: ${begins}`, () => assert.deepEqual(row(begins), names.map(of)));

  it('states the early promise, and the traffic that it needs', () => {
    const perMinute = tuning.promiseRequests / ((tuning.promiseBlocks * blockSeconds) / 60);
    assert.ok(
      flat.includes(
        `an increase of ${earlyPromise.latency * 100} % in latency or ${earlyPromise.errors * 100} points of ` +
          `errors is not ruled out and the candidate gets ${perMinute} requests a minute`,
      ),
    );
  });

  it('states what default gates show', () => {
    const plan = planOf();
    const shown = plan.gates.slice(0, 2).map((gate) => {
      const limit = 'tolerance' in gate ? gate.tolerance : 'increase' in gate ? gate.increase : NaN;
      const atMost = 'atMost' in gate ? gate.atMost : undefined;
      return [0, 40, 80].map((known) =>
        Number((toShow(limit, atMost, plan, { known, maxBlocks: halfAnHour }) * 100).toPrecision(2)),
      );
    });
    const [[p95, later, last] = [], [errors, more, most] = []] = shown;
    assert.ok(
      flat.includes(
        `p95 ${p95} %, later ${later} % and ${last} %; errors ${errors} point, later ${more} and ${most} points`,
      ),
      JSON.stringify(shown),
    );
  });

  it('states what they show at the end, and for which estimate', () => {
    const shown = planOf().gates.flatMap((gate) => {
      const limit = 'tolerance' in gate ? gate.tolerance : 'increase' in gate ? gate.increase : NaN;
      const last = lastToShow(limit, 'atMost' in gate ? gate : {}, planOf(), { known: 89, maxBlocks: halfAnHour });
      return last === undefined ? [] : [last.toShow, last.looks].map((one) => Number((one * 100).toPrecision(2)));
    });
    const [p95, looks, errors, few] = shown;
    assert.ok(
      flat.includes(
        `only has to show ${p95} % and ${errors} points, if the estimate is at most +${looks} % and +${few} points`,
      ),
      JSON.stringify(shown),
    );
  });

  it('and README.md state the limits of default gates', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../../README.md'), 'utf8');
    const limits = planOf().gates.map((gate) => {
      const limit = 'tolerance' in gate ? gate.tolerance : 'increase' in gate ? gate.increase : NaN;
      return `${gate.name} ${Number((limit * 100).toPrecision(3))} %`;
    });
    const [p95, errors = '', p99] = limits;
    assert.ok(
      readme.includes(
        `limits default to: ${p95} and ${p99} above stable, ${errors.replace('errors ', '')} more errors`,
      ),
      limits.join(', '),
    );
  });
});
