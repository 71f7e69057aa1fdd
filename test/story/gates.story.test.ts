/**
 * Complete canary rollouts that the operator judges by the reports of pods: the status as text, and the counts behind
 * it.
 *
 * Terms: a block is 20 s of time, in which a pod counts its requests. The window is the blocks by which a step of the
 * rollout is judged. The ledger is the operator's record of all blocks, which it stores in the cluster now and then.
 */
import assert from 'node:assert/strict';
import type { OnnxModelSpec } from '../../api/onnxmodel.ts';
import type { ConfigMap } from '../../kube/kinds.ts';
import { CanaryWorld } from '../support/canary-world.ts';
import { assertGolden } from '../support/golden.ts';

const spec = (uri: string, more: Partial<OnnxModelSpec> = {}): OnnxModelSpec => ({
  model: { uri: `https://models.example/${uri}` },
  replicas: 2,
  revisionHistoryLimit: 5,
  rollout: { strategy: 'Canary' },
  ...more,
});

type Told = {
  readonly world: CanaryWorld;
  readonly lines: string[];
  readonly names: Map<string, string>;
  seconds: number;
  last: string;
};

const begin = async (
  perMinute: number,
  seed: number,
  { first = spec('ok-first'), ringBlocks = 90, settleS = 300 } = {},
): Promise<Told> => {
  const told = {
    world: new CanaryWorld({ perMinute, seed, ringBlocks }),
    lines: [],
    names: new Map<string, string>(),
    seconds: 0,
    last: '',
  };
  told.world.cluster.put(first);
  await live(told, settleS);
  told.lines.length = 0;
  told.seconds = 0;
  return told;
};

/** Runs for the given time; adds a line for each change of the rollout's progress. */
async function live(told: Told, seconds: number, until: () => boolean = () => false): Promise<void> {
  for (const end = told.seconds + seconds; told.seconds < end && !until(); told.seconds += 5) {
    await told.world.tick();
    note(told);
  }
}

function note(told: Told): void {
  const { phase, rollout, message } = told.world.cluster.status;
  nameRevisions(told);
  const where = `${phase} ${asked(rollout?.desiredWeight)} asked, ${asked(rollout?.actualWeight)} got`;
  if (where === told.last) return;
  told.last = where;
  let line = `${String(told.seconds).padStart(5)}s  ${where}  ${rollout?.reason}: ${message}`;
  for (const [revision, name] of told.names) line = line.replaceAll(revision, name);
  told.lines.push(line);
}

/** Replaces revisions by v1, v2 in the order of their first appearance. */
function nameRevisions({
  world: {
    cluster: { status },
  },
  names,
}: Told): void {
  for (const revision of [status.stable?.revision, status.candidate?.revision])
    if (revision !== undefined && !names.has(revision)) names.set(revision, `v${names.size + 1}`);
}

function asked(weight: number | undefined): string {
  return weight === undefined ? '-' : `${weight}%`;
}

function gateLines({ world }: Told): string[] {
  const [latest] = world.cluster.status.history ?? [];
  return [
    `history: ${latest?.outcome} ${latest?.reason} at ${latest?.weight}%: ${latest?.message}`,
    ...(latest?.gates ?? []).map((gate) => `  ${JSON.stringify(gate)}`),
  ];
}

/**
 * Checks that the counts in the status equal the requests that pods answered. They may lack the requests since
 * `judgedAt`, and those of the 10 s before.
 */
function assertCounted(world: CanaryWorld): void {
  const { gates = [], judgedAt = '' } = world.cluster.status.rollout ?? {};
  const { window, stable, candidate } = comparedIn(world);
  const [p95] = gates;
  assert.ok(p95 !== undefined);
  const missing = (((world.cluster.clock.now() - Date.parse(judgedAt)) / 1000 + 10) * perMinute) / 60;
  for (const [count = NaN, revision] of [
    [p95.candidateRequests, candidate],
    [p95.stableRequests, stable],
  ] as const) {
    const served = world.requestsSince(revision, window);
    assert.ok(
      count <= served && count >= served - missing,
      `${count} of ${served} requests of ${revision} were counted`,
    );
  }
}

function comparedIn({ cluster: { status } }: CanaryWorld): {
  readonly window: number;
  readonly stable: string;
  readonly candidate: string;
} {
  return {
    window: status.rollout?.window ?? NaN,
    stable: status.stable?.revision ?? '',
    candidate: status.candidate?.revision ?? '',
  };
}
const perMinute = 400;

const kept = (world: CanaryWorld): ConfigMap | undefined =>
  world.cluster.objects.get('ConfigMap/ranker-gates') as ConfigMap | undefined;

describe('Canaries under traffic', () => {
  it('promote a revision that serves like stable', async () => {
    const told = await begin(12_000, 5);
    told.world.cluster.put(spec('ok-second'));
    await live(told, 3600, () => told.world.cluster.status.phase === 'Stable' && told.lines.length > 3);
    assertGolden('story/gates-promote-an-equal-revision.golden', `${[...told.lines, ...gateLines(told)].join('\n')}\n`);
    assert.equal(told.world.cluster.status.history?.[0]?.outcome, 'Promoted');
    assert.equal(kept(told.world), undefined, 'there is no stored ledger at rest');
  });

  it('roll back a slow revision and show the numbers', async () => {
    const told = await begin(3000, 6);
    told.world.cluster.put(spec('ok-x1.6'));
    await live(told, 3600, () => told.world.cluster.status.phase === 'Failed');
    assertGolden('story/gates-take-back-a-slow-revision.golden', `${[...told.lines, ...gateLines(told)].join('\n')}\n`);
    assert.equal(told.world.cluster.status.history?.[0]?.reason, 'LatencyGateFailed');
    assert.equal(kept(told.world), undefined);
  });

  it("wait while a revision's sidecars are silent, and continue when they answer again", async () => {
    const told = await begin(3000, 7);
    told.world.cluster.put(spec('ok-second'));
    await live(told, 100, () => told.world.cluster.status.phase === 'Analyzing');
    told.world.mute = [`ranker-${told.world.cluster.status.candidate?.revision}`];
    await live(told, 120);
    told.world.mute = [];
    await live(told, 60);
    assertGolden('story/gates-wait-for-silent-sidecars.golden', `${told.lines.join('\n')}\n`);
  });

  const inShadow = (uri: string): OnnxModelSpec =>
    spec(uri, {
      rollout: {
        strategy: 'Canary',
        steps: [{ shadow: { share: '50%', require: 'Pass', maxDuration: '1h' } }, { pause: {} }],
        gates: { latency: [{ name: 'p95', quantile: '0.95', maxIncrease: '25%' }] },
      },
    });
  const leaveShadow = async (uri: string, phase: string): Promise<{ readonly told: Told; readonly said: string }> => {
    const told = await begin(20, 13, { first: inShadow('ok-first'), settleS: 60 });
    const { cluster } = told.world;
    cluster.put(inShadow(uri));
    await live(told, 3600, () => cluster.status.phase === phase);
    assert.equal(cluster.status.phase, phase, told.lines.join('\n'));
    assert.ok(told.lines.every((line) => !line.includes('Analyzing') || line.includes('0% got')));
    const {
      probes = 0,
      shadowed = 0,
      message = '',
    } = cluster.status.rollout?.gates?.find(({ name }) => name === 'p95')?.paired ?? {};
    assert.ok(probes > 50 && shadowed > 5, `${probes} probes, ${shadowed} shadowed`);
    return { told, said: message };
  };

  it('end the shadow step of a candidate that serves like stable, at 20 requests per minute', async () => {
    const { told, said } = await leaveShadow('ok-second', 'Paused');
    assert.match(said, /^p95 passes: increase at most \+[0-9]+%, from/);
    assertGolden('story/gates-let-a-candidate-out-of-the-shadow.golden', `${told.lines.join('\n')}\n`);
  });

  it('roll back a slow candidate in the shadow, before it gets traffic', async () => {
    const { told, said } = await leaveShadow('ok-x1.8', 'Failed');
    assert.match(said, /^p95 fails: increase at least \+[0-9]+%, from/);
    assert.equal(told.world.cluster.status.history?.[0]?.outcome, 'Failed', 'it had no traffic');
    assertGolden('story/gates-take-back-a-slow-candidate-in-the-shadow.golden', `${told.lines.join('\n')}\n`);
  });

  const blueGreen = (uri: string): OnnxModelSpec =>
    spec(uri, {
      rollout: {
        strategy: 'BlueGreen',
        gates: { errors: { max: '2%' }, latency: [{ name: 'slo', quantile: '0.95', max: '100ms' }] },
      },
    });
  const ends: readonly (readonly [string, string, string, string])[] = [
    ['that keeps its limits', 'ok-second', 'Promoted', 'Promoted'],
    ['that fails requests', 'ok-errors8', 'RolledBack', 'ErrorsGateFailed'],
    ['that is too slow', 'ok-x4', 'RolledBack', 'LatencyGateFailed'],
  ];
  for (const [what, uri, outcome, reason] of ends) {
    it(`judge a revision ${what} by its absolute limits under all the traffic`, async () => {
      const told = await begin(3000, 10, { first: blueGreen('ok-first'), settleS: 60 });
      const { cluster } = told.world;
      cluster.put(blueGreen(uri));
      await live(told, 900, () => cluster.status.history?.length === 2);
      const [latest] = cluster.status.history ?? [];
      assert.deepEqual(
        [latest?.outcome, latest?.reason, latest?.weight],
        [outcome, reason, 100],
        told.lines.join('\n'),
      );
      assert.ok(latest?.gates?.some((gate) => gate.name === 'errors-max' && gate.stableRequests === undefined));
    });
  }

  const compared = (uri: string): OnnxModelSpec =>
    spec(uri, {
      rollout: {
        strategy: 'Canary',
        steps: [{ weight: 50 }, { analyze: { require: 'Pass' } }],
        gates: { latency: [], errors: {}, quality: { sampleRate: '10%', metric: 'Cosine', min: '0.95' } },
      },
    });
  const agreements: readonly (readonly [string, string, string])[] = [
    ["promote a revision whose answers agree with stable's", 'ok-differs1', 'Promoted'],
    ["roll back a revision whose answers do not agree with stable's", 'ok-differs20', 'QualityGateFailed'],
  ];
  for (const [what, uri, reason] of agreements) {
    it(what, async () => {
      const told = await begin(1500, 12, { first: compared('ok-first'), settleS: 60 });
      const { cluster } = told.world;
      cluster.put(compared(uri));
      await live(told, 1800, () => cluster.status.history?.length === 2);
      const [latest] = cluster.status.history ?? [];
      assert.equal(latest?.reason, reason, told.lines.join('\n'));
      assert.deepEqual(
        latest?.gates?.map(({ name, limit }) => [name, limit]),
        [['quality', '5%']],
      );
    });
  }

  const limited = (uri: string): OnnxModelSpec =>
    spec(uri, {
      rollout: {
        strategy: 'Canary',
        steps: [{ weight: 50 }, { analyze: { require: 'Pass', maxDuration: '2h' } }],
        gates: { errors: { max: '2%' } },
      },
    });
  const mends: readonly (readonly [string, string, string, string])[] = [
    ['promote a fix at once while stable exceeds a limit', 'ok-second', 'Promoted', 'StableLost'],
    [
      'roll back a revision that exceeds the same limit as stable',
      'ok-second-errors9',
      'RolledBack',
      'ErrorsGateFailed',
    ],
  ];
  for (const [what, uri, outcome, reason] of mends) {
    it(what, async () => {
      const told = await begin(3000, 11, { first: limited('ok-first-errors8'), settleS: 60 });
      const { cluster } = told.world;
      cluster.put(limited(uri));
      await live(told, 1800, () => cluster.status.history?.length === 2);
      const [latest] = cluster.status.history ?? [];
      assert.deepEqual([latest?.outcome, latest?.reason], [outcome, reason], told.lines.join('\n'));
      // The latency gate compared the revision with stable, and did not reach a verdict.
      assert.equal(latest?.gates?.find((gate) => gate.name === 'p95')?.verdict, 'Undecided');
    });
  }

  const long = (uri: string): OnnxModelSpec =>
    spec(uri, {
      rollout: { strategy: 'Canary', steps: [{ weight: 50 }, { analyze: { require: 'Pass', maxDuration: '5h' } }] },
    });

  it('keep all blocks of a long window when pods go away and the operator restarts', async () => {
    // The sidecars remember six minutes of blocks, which is longer than the interval between two writes of the ledger
    // and shorter than the window.
    const told = await begin(perMinute, 8, { first: long('ok-first'), ringBlocks: 18 });
    const { world } = told;
    world.cluster.put(long('ok-x1.15'));
    await live(told, 200, () => world.cluster.status.phase === 'Analyzing');
    const { window, stable, candidate } = comparedIn(world);
    for (let round = 0; round < 3; round += 1) {
      await live(told, 250);
      world.lose(round % 2 === 0 ? stable : candidate);
      await live(told, 30);
      world.restart();
    }
    await live(told, 60);
    assert.equal(
      world.cluster.status.phase,
      'Analyzing',
      told.lines.join('\n') + JSON.stringify(world.cluster.status.history?.[0]),
    );
    assert.equal(kept(world)?.data?.['window'], String(window));
    assertCounted(world);
  });

  it('write rarely while they judge', async () => {
    const told = await begin(perMinute, 9, { first: long('ok-first') });
    told.world.cluster.put(long('ok-x1.15'));
    await live(told, 200, () => told.world.cluster.status.phase === 'Analyzing');
    const before = told.world.cluster.writes.length;
    await live(told, 600);
    const writes = told.world.cluster.writes.slice(before);
    const count = (what: string): number => writes.filter((write) => write === what).length;
    assert.ok(
      count('apply ConfigMap/ranker-gates') <= 3,
      `${count('apply ConfigMap/ranker-gates')} writes of what is kept`,
    );
    // The operator writes the status at most every 30 s, and additionally once for every verdict.
    assert.ok(count('status OnnxModel/ranker') <= 26, `${count('status OnnxModel/ranker')} status writes`);
    assert.deepEqual(
      writes.filter((write) => write !== 'apply ConfigMap/ranker-gates' && write !== 'status OnnxModel/ranker'),
      [],
    );
  });

  it('end the same when the operator crashes instead of any write', async () => {
    const endOf = async (
      crashAt: number,
    ): Promise<{ readonly writes: readonly string[]; readonly outcome: string | undefined }> => {
      const told = await begin(1500, 6, { settleS: 60 });
      const { cluster } = told.world;
      const before = cluster.writes.length;
      let count = 0;
      cluster.beforeWrite = (what) => {
        count += 1;
        if (count === crashAt) throw new Error(`crash before ${what}`);
      };
      cluster.put(spec('ok-x2.5'));
      await live(told, 900, () => cluster.status.phase === 'Failed' && kept(told.world) === undefined);
      return { writes: cluster.writes.slice(before), outcome: cluster.status.history?.[0]?.reason };
    };
    const whole = await endOf(0);
    assert.equal(whole.outcome, 'LatencyGateFailed');
    // Run the story once for each selected write, with a crash instead of the write. Selected are every write of the
    // ledger, the write directly after it, and every tenth write.
    const places = whole.writes.flatMap((what, i) =>
      what.includes('ranker-gates') || whole.writes[i - 1]?.includes('ranker-gates') === true || i % 10 === 0
        ? [i + 1]
        : [],
    );
    assert.ok(places.length > 5);
    for (const place of places)
      assert.equal(
        (await endOf(place)).outcome,
        'LatencyGateFailed',
        `after a crash before ${whole.writes[place - 1]}, write ${place}`,
      );
  }).timeout(120_000);
});
