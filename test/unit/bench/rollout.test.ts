/**
 * The simulated rollouts of the canary bench: weights, pods and windows follow the steps, and each ends as expected.
 */
import assert from 'node:assert/strict';
import { rollOutWith } from '../../../bench/canary/baseline-rollouts.ts';
import type { JudgeName } from '../../../bench/canary/cell.ts';
import { allCells, runCell } from '../../../bench/canary/cells.ts';
import { rollOut, type Outcome, type RolloutRun, type RolloutSetting } from '../../../bench/canary/rollout.ts';
import { quantileOf, rowOfRollouts, type Row } from '../../../bench/canary/rows.ts';
import { quiet, type Scenario } from '../../../bench/canary/scenarios.ts';
import { slowdownAt, truthOf } from '../../../bench/canary/truth.ts';
import { hidden, queues } from '../../../bench/canary/unseen.ts';
import { World, type PodNumbers, type Slice } from '../../../bench/canary/world.ts';
import { rolloutPlanOf } from '../../../operator/rollout/plan.ts';

const never = new AbortController().signal;

/** A simulated service that records how it was called. */
class Watched extends World {
  readonly asked: { weight: number; pods: PodNumbers | undefined }[] = [];

  override next(weight: number, pods?: PodNumbers): Slice {
    this.asked.push({ weight, pods });
    return super.next(weight, pods);
  }
}

type Asked = Partial<Omit<RolloutSetting, 'scenario'>> & {
  readonly scenario?: Partial<Scenario>;
  readonly rate?: number;
  readonly seed?: number;
};

function rolled({ scenario: given = {}, rate = 1000, seed = 1, ...setting }: Asked): {
  readonly outcome: Outcome;
  readonly world: Watched;
} {
  const asked = {
    replicas: 2,
    router: 'HTTPRoute',
    historyMinutes: 10,
    everyReport: false,
    podsEach: false,
    ...setting,
  } as const;
  const scenario = { ...quiet, ...given, pods: asked.replicas };
  const world = new Watched({ scenario, requestsPerMinute: rate, sampleRate: 0 }, seed);
  return { outcome: rollOut(world, { ...asked, scenario }), world };
}

describe('a whole rollout in the bench', () => {
  it('has the default steps and pods, with a route and without', () => {
    const { steps } = rolloutPlanOf({ replicas: 2, rollout: { strategy: 'Canary' } }, 0);
    const weights = steps.flatMap((step) => (step.kind === 'weight' && step.weight < 100 ? [step.weight / 100] : []));
    const sharesOf = ({ asked }: Watched) => [...new Set(asked.map(({ weight }) => weight))];
    const isByWeight = rolled({}).world;
    assert.deepEqual(sharesOf(isByWeight), [0, ...weights]);
    assert.deepEqual(isByWeight.asked.at(-1)?.pods, { candidate: 2, stable: 2 });
    const byPods = rolled({ router: 'Service' }).world;
    for (const { weight, pods = { candidate: 0, stable: 2 } } of byPods.asked) {
      assert.equal(weight, pods.candidate / (pods.candidate + pods.stable));
    }
  });

  it('has equally many pods of each revision when the setting says so', () => {
    const { world } = rolled({ podsEach: true, router: 'Service' });
    for (const { weight, pods } of world.asked) assert.equal(pods?.candidate, weight > 0 ? 2 : 0);
    assert.ok(
      rolled({ router: 'Service' }).world.asked.some(({ weight, pods }) => weight > 0 && pods?.candidate === 1),
    );
  });

  it('has the given history of stable alone', () => {
    const { world } = rolled({ historyMinutes: 7, scenario: { candidateErrors: 0.9 } });
    assert.equal(
      world.asked.findIndex(({ weight }) => weight > 0),
      7 * 12,
    );
  });

  it('promotes an identical revision, and reports the numbers', () => {
    const { outcome } = rolled({ rate: 10_000 });
    assert.equal(outcome.ending, 'Promoted');
    assert.ok((outcome.promotedOn ?? []).length > 0);
    assert.equal(outcome.isWronglyPromoted, false);
    assert.ok(outcome.windows.length > 0 && outcome.windows.every(({ isEverMissed }) => !isEverMissed));
    assert.ok(outcome.minutes >= outcome.stepMinutes.reduce((sum, minutes) => sum + minutes, 0));
  });

  it('does not compare bounds when queues have unequal loads', () => {
    const queue = { utilisation: 0.5, patience: 0, retries: 0 };
    const windowsOf = (router: 'HTTPRoute' | 'Service'): number => {
      const { windows } = rolled({ router, scenario: { queue } }).outcome;
      return windows.filter(({ gate }) => gate === 'errors').length;
    };
    assert.ok(windowsOf('HTTPRoute') < windowsOf('Service'));
  });

  it('rolls back a failing candidate, and reports what users saw until then', () => {
    const { outcome, world } = rolled({ scenario: { slower: 3, candidateErrors: 0.3 } });
    assert.equal(outcome.ending, 'RolledBack');
    assert.equal(outcome.reachedHalf, false);
    assert.equal(outcome.promotedOn, undefined);
    assert.ok(outcome.candidateFailures > 0.2 * outcome.candidateRequests);
    assert.ok((outcome.candidateSlow ?? 0) > 0.3 * outcome.candidateRequests);
    assert.equal(outcome.minutes, (world.seconds - 600) / 60);
  });

  it('is held without enough evidence, and reports how it would have ended', () => {
    const { outcome } = rolled({ rate: 0.2, scenario: { candidateErrors: 1 } });
    assert.equal(outcome.ending, 'Held');
    assert.ok(['Promoted', 'RolledBack'].includes(outcome.endingIfPromoted));
    assert.equal(outcome.promotedOn, undefined);
    assert.ok(outcome.minutes <= 31);
  });

  it('ends no later when every report is evaluated than when only the first of each block is', () => {
    const twice = [false, true].map((everyReport) => rolled({ everyReport, scenario: { slower: 3 } }).outcome);
    assert.deepEqual(
      twice.map(({ ending }) => ending),
      ['RolledBack', 'RolledBack'],
    );
    assert.ok((twice[1]?.minutes ?? Infinity) <= (twice[0]?.minutes ?? 0));
  });
});

describe('the truth', () => {
  const gate = { kind: 'latency-increase', name: 'p95', quantile: 0.95, tolerance: 0.15 } as const;

  it("is the candidate's slowdown, independent of noise", () => {
    assert.equal(slowdownAt(0.95, { ...quiet, slower: 1.5, revisionNoise: 0.2 }), 0.5);
    assert.equal(
      truthOf({ kind: 'errors-increase', name: 'errors', increase: 0.005 }, { ...quiet, candidateErrors: 0.05 }),
      0.05 - 0.002,
    );
  });

  it('is the slowdown of the mix when one class differs, and below the limit of p95 when few requests differ', () => {
    const [classes, rare] = hidden.map((scenario) => truthOf(gate, scenario) ?? NaN);
    assert.ok(classes !== undefined && classes > 0.02 && classes < 0.4, String(classes));
    assert.ok(rare !== undefined && rare > 0.01 && rare < 0.15, String(rare));
    assert.ok((slowdownAt(0.995, hidden[1] ?? assert.fail()) ?? 0) > 1);
  });

  it('is undefined for a slower queue, and 0 for an equal one', () => {
    const [queue] = queues;
    assert.equal(truthOf(gate, { ...quiet, ...queue, slower: 1.5 }), undefined);
    assert.equal(truthOf(gate, { ...quiet, ...queue }), 0);
  });
});

describe('rollouts of other tools', () => {
  const stable = { p95Ms: 20 * Math.exp(0.5 * 1.6449), errors: 0.002 };
  const minutesOf = (judge: Exclude<JudgeName, 'ours'>): readonly [string, number] => {
    const { ending, minutes } = rollOutWith(
      judge,
      new World({ scenario: quiet, requestsPerMinute: 10_000, sampleRate: 0 }, 1),
      stable,
    );
    return [ending, minutes];
  };

  it('take as long as their documented examples with much traffic', () => {
    assert.deepEqual(minutesOf('argo-rollouts'), ['Promoted', 40]);
    assert.deepEqual(minutesOf('flagger'), ['Promoted', 12]);
    assert.deepEqual(minutesOf('kayenta'), ['Promoted', 180]);
  });

  it('roll back for twice the latency, Flagger after five failed checks and one more', () => {
    for (const [judge, minutes] of [
      ['argo-rollouts', 30],
      ['flagger', 6],
      ['kayenta', 60],
    ] as const) {
      const world = new World({ scenario: { ...quiet, slower: 2 }, requestsPerMinute: 10_000, sampleRate: 0 }, 1);
      const run = rollOutWith(judge, world, stable);
      assert.deepEqual([run.ending, run.minutes], ['RolledBack', minutes], judge);
    }
  });
});

describe('a row of rollouts', () => {
  const cells = allCells();
  const cell = { ...(cells.find((one) => one.what === 'rollout') ?? assert.fail()), podsEach: false };
  const run = (what: Partial<RolloutRun>): RolloutRun => ({
    ending: 'Promoted',
    endingIfPromoted: 'Promoted',
    minutes: 10,
    candidateRequests: 100,
    reachedHalf: true,
    ...what,
  });

  it('counts each end, the ends of held rollouts by onUndecided, and what was found before half of the traffic', () => {
    const runs = [
      run({}),
      run({ minutes: 20, isWronglyPromoted: true }),
      run({ ending: 'Held', endingIfPromoted: 'RolledBack', minutes: 30 }),
      run({ ending: 'Held', minutes: 30 }),
      run({ ending: 'RolledBack', endingIfPromoted: 'RolledBack', minutes: 2, reachedHalf: false }),
    ];
    const row = rowOfRollouts(cell, runs, false);
    assert.equal(row.detectedRate, 0.2);
    assert.equal(row.medianMinutesToDetect, 2);
    const {
      promotedRate,
      heldRate,
      rolledBackIfRollback,
      promotedIfPromote,
      medianMinutesToPromotion,
      foundBeforeHalfRate,
      wrongPromotionRate,
    } = row.rollout ?? assert.fail();
    assert.deepEqual(
      {
        promotedRate,
        heldRate,
        rolledBackIfRollback,
        promotedIfPromote,
        medianMinutesToPromotion,
        foundBeforeHalfRate,
        wrongPromotionRate,
      },
      {
        promotedRate: 0.4,
        heldRate: 0.4,
        rolledBackIfRollback: 0.6,
        promotedIfPromote: 0.6,
        medianMinutesToPromotion: 15,
        foundBeforeHalfRate: 0.2,
        wrongPromotionRate: 0.2,
      },
    );
  });

  it('adds up the windows whose bounds missed, by gate', () => {
    const shown = { gate: 'p95', alpha: 0.01, isMissedAtEnd: false, isEverMissed: true };
    const row = rowOfRollouts(
      cell,
      [
        run({ windows: [shown, { ...shown, isMissedAtEnd: true }] }),
        run({ windows: [{ ...shown, gate: 'errors', isEverMissed: false }] }),
      ],
      true,
    );
    assert.deepEqual(row.rollout?.bounds, [
      { gate: 'p95', alpha: 0.01, windows: 2, missedAtEnd: 1, everMissed: 2 },
      { gate: 'errors', alpha: 0.01, windows: 1, missedAtEnd: 0, everMissed: 0 },
    ]);
  });

  it('is the same for the same seed', async () => {
    const number = cells.findIndex(
      (one) => one.what === 'rollout' && one.scenario.name === 'coldStep' && one.requestsPerMinute === 1000,
    );
    const row = (): Promise<Row> => runCell(cells[number] ?? assert.fail(), { runs: 1, seed: 5, number }, never);
    assert.deepEqual(await row(), await row());
  });

  it('has a quantile between two values, and null for an empty list', () => {
    assert.equal(quantileOf([3, 1, 2, 4], 0.5), 2.5);
    assert.equal(quantileOf([], 0.5), null);
  });
});
