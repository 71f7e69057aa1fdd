/**
 * `kubectl-onnx replay`: judges a recorded canary (a trace of requests) as the operator would.
 *
 * Terms: stable is the serving revision, the candidate the new one. A pair is the service times of both revisions for
 * the same request.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../../../../bench/canary/random.ts';
import { readJudgedModel } from '../../../../cli/offline/manifest.ts';
import { replay } from '../../../../cli/commands/replay.ts';

let folder = '';
before(() => (folder = mkdtempSync(join(tmpdir(), 'replay-'))));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const manifest = (rollout: string): string =>
  `apiVersion: onnx-operator.dev/v1alpha1\nkind: OnnxModel\nmetadata: {name: ranker}\nspec:\n  model: {uri: ` +
  `"npm:a@1.0.0/m.onnx"}\n  rollout: ${rollout}\n`;
const oneGate = manifest(
  '{steps: [{weight: 50}, {analyze: {require: Pass}}], gates: {latency: [{name: p95, quantile: "0.95", ' +
    'maxIncrease: 15%}], errors: {}, minRequests: 100}}',
);

/** The trace of a synthetic canary. Both revisions together get `perSecond` requests per second. */
function trace({
  seconds,
  perSecond,
  factor,
  failures = 0,
  agree,
}: {
  seconds: number;
  perSecond: number;
  factor: number;
  failures?: number;
  agree?: number;
}): string {
  const random = new Random(7);
  const lines: string[] = [];
  for (let i = 0; i < seconds * perSecond; i++) {
    const candidate = i % 2 === 0;
    const request = {
      t: i / perSecond,
      revision: candidate ? 'candidate' : 'stable',
      latencyMs: 20 * (candidate ? factor : 1) * Math.exp(0.5 * random.normal()),
      ok: !candidate || random.uniform() >= failures,
      ...(agree === undefined || !candidate ? {} : { agree: random.uniform() < agree }),
    };
    lines.push(JSON.stringify(request));
  }
  return `${lines.join('\n')}\n`;
}

async function run(argv: readonly string[]): Promise<{ code: number; text: string }> {
  let text = '';
  const code = await replay(argv, (piece) => (text += piece));
  return { code, text };
}

type Document = {
  model: string;
  plan: { alphaPerGate: number };
  verdicts: {
    t: number;
    gate: string;
    verdict: string;
    candidateRequests: number;
    lower: number | null;
    upper: number | null;
    paired?: { pairs: number; counts: object };
  }[];
  outcome: { verdict: string; t: number; candidateRequests: number };
};
const document = (text: string): Document => JSON.parse(text) as Document;

describe('replay', () => {
  /** A trace with 50 pairs of service times per minute. */
  function pairTrace(minutes: number, factor: number): string {
    const random = new Random(11);
    const ratios = Array.from({ length: minutes * 50 }, (_, i) => ({
      t: (i * 60) / 50,
      ratio: Number((factor * Math.exp(0.5 * (random.normal() - random.normal()))).toPrecision(4)),
      source: 'Probe',
    }));
    return `${ratios.map((pair) => JSON.stringify(pair)).join('\n')}\n`;
  }

  const inShadow = manifest(
    '{steps: [{shadow: {require: Pass}}, {weight: 50}], gates: {latency: [{name: p95, quantile: "0.95", ' +
      'maxIncrease: 25%}]}}',
  );
  for (const { name, factor, code } of [
    { name: 'passes a candidate by pairs alone', factor: 1, code: 0 },
    { name: 'fails a candidate by pairs alone', factor: 1.8, code: 5 },
  ]) {
    it(`${name}, in a shadow step`, async () => {
      const { code: got, text } = await run([
        file('pairs.jsonl', pairTrace(30, factor)),
        '--model',
        file('shadow.yaml', inShadow),
        '--json',
      ]);
      const { outcome, verdicts } = document(text);
      assert.equal(got, code, JSON.stringify(outcome));
      const { paired } = verdicts.at(-1) ?? assert.fail();
      assert.ok((paired?.pairs ?? 0) > 100, JSON.stringify(paired));
      assert.deepEqual([outcome.candidateRequests, Object.keys(paired?.counts ?? {})], [0, ['Probe']]);
      const table = await run([file('pairs.jsonl', pairTrace(30, factor)), '--model', file('shadow.yaml', inShadow)]);
      assert.match(
        table.text,
        code === 0
          ? /p95 passes: increase at most \+[0-9]+%, from [0-9,]+ paired probes \(no live traffic needed\)/
          : /^Fail at .*: p95 fails: increase at least \+[0-9]+%, from/m,
      );
    });
  }

  it('fails a slow candidate at the first look that shows it, with bounds', async () => {
    const { code, text } = await run([
      file('slow.jsonl', trace({ seconds: 240, perSecond: 20, factor: 2 })),
      '--model',
      file('one.yaml', oneGate),
      '--json',
    ]);
    const { model, outcome, verdicts, plan } = document(text);
    assert.equal(code, 5);
    assert.equal(model, 'ranker');
    assert.equal(plan.alphaPerGate, 0.05);
    assert.equal(outcome.verdict, 'Fail');
    const first = verdicts.find((verdict) => verdict.verdict === 'Fail');
    assert.ok(first !== undefined && first.t === outcome.t && first.t % 5 === 0 && first.t < 300);
    assert.ok((first.lower ?? 0) > 0.15 && (first.upper ?? 0) > (first.lower ?? 0));
    assert.ok(first.candidateRequests === outcome.candidateRequests && first.candidateRequests > 200);
  });

  it('passes a candidate that equals stable', async () => {
    const { code, text } = await run([
      file('same.jsonl', trace({ seconds: 2400, perSecond: 20, factor: 1 })),
      '--model',
      file('one.yaml', oneGate),
      '--json',
    ]);
    assert.equal(code, 0);
    assert.equal(document(text).outcome.verdict, 'Pass');
    const table = await run([
      file('same.jsonl', trace({ seconds: 2400, perSecond: 20, factor: 1 })),
      '--model',
      file('one.yaml', oneGate),
    ]);
    assert.match(
      table.text,
      /^Pass at .* requests of the candidate: nothing worse than \+15 % p95 shown\. The rollout would continue\.$/m,
    );
    assert.match(text, /"shown":"nothing worse than \+15 % p95 shown"/);
    assert.ok(document(text).verdicts.every((verdict) => verdict.verdict !== 'Fail'));
  });

  it('lets a Pass show less near the maximum duration of its step', async () => {
    const traffic = file('same-low.jsonl', trace({ seconds: 1500, perSecond: 2, factor: 1 }));
    const gates =
      '{latency: [{name: p95, quantile: "0.95", maxIncrease: 15%, minDetectable: 300%}], errors: {}, minRequests: 100}';
    const within = (maxDuration: string): string =>
      manifest(`{steps: [{weight: 50}, {analyze: {require: Pass, maxDuration: ${maxDuration}}}], gates: ${gates}}`);
    const long = await run([traffic, '--model', file('long.yaml', within('4h')), '--json']);
    const short = await run([traffic, '--model', file('short.yaml', within('20m')), '--json']);
    assert.deepEqual(
      [document(long.text).outcome.verdict, document(short.text).outcome.verdict],
      ['Undecided', 'Pass'],
    );
  });

  it('is undecided after too few requests', async () => {
    const { code, text } = await run([
      file('short.jsonl', trace({ seconds: 20, perSecond: 5, factor: 1 })),
      '--model',
      file('one.yaml', oneGate),
    ]);
    assert.equal(code, 6);
    assert.match(text, /Undecided at .* p95 Uncertain \(about /);
  });

  it('judges errors and agreement', async () => {
    const gates = manifest(
      '{gates: {latency: [], errors: {maxIncrease: 0.5%, max: 2%}, quality: {sampleRate: 5%, metric: ' +
        'Top1Agreement, min: "0.98"}}}',
    );
    const { code, text } = await run([
      file('bad.jsonl', trace({ seconds: 300, perSecond: 10, factor: 1, failures: 0.1, agree: 0.8 })),
      '--model',
      file('errors.yaml', gates),
      '--json',
    ]);
    assert.equal(code, 5);
    const failed = new Set(
      document(text)
        .verdicts.filter((verdict) => verdict.verdict === 'Fail')
        .map((verdict) => verdict.gate),
    );
    assert.deepEqual([...failed].toSorted(), ['errors', 'errors-max', 'quality']);
  });

  it('gives the same verdicts for a trace that begins at another time', async () => {
    const text = trace({ seconds: 240, perSecond: 20, factor: 2 });
    const later = text.replaceAll(/"t":([0-9.]+)/g, (_, t: string) => `"t":${1.6e9 + Number(t)}`);
    const now = document((await run([file('now.jsonl', text), '--model', file('one.yaml', oneGate), '--json'])).text);
    const then = document(
      (await run([file('then.jsonl', later), '--model', file('one.yaml', oneGate), '--json'])).text,
    );
    assert.equal(then.outcome.t - 1.6e9, now.outcome.t);
    assert.equal(then.outcome.candidateRequests, now.outcome.candidateRequests);
  });

  it('prints times rounded to the millisecond', async () => {
    const path = file(
      'times.jsonl',
      trace({ seconds: 300, perSecond: 10, factor: 1 }).replaceAll(
        /"t":([0-9.]+)/g,
        (_, t: string) => `"t":${Number(t) + 0.1 + 0.2}`,
      ),
    );
    const { text } = await run([path, '--model', file('one.yaml', oneGate)]);
    const json = (await run([path, '--model', file('one.yaml', oneGate), '--json'])).text;
    assert.doesNotMatch(
      `${text}${json.replaceAll(/"(estimate|lower|upper|noise|minutes|alpha\w*)":[^,}]+/g, '')}`,
      /"t":\d+\.\d{4}|\d+\.\d{4,} s/,
    );
  });

  it('ignores the start with --settle, while caches fill', async () => {
    const cold = trace({ seconds: 120, perSecond: 40, factor: 3 });
    const warm = trace({ seconds: 1800, perSecond: 40, factor: 1 }).replaceAll(
      /"t":([0-9.]+)/g,
      (_, t: string) => `"t":${120 + Number(t)}`,
    );
    const path = file('cold.jsonl', cold + warm);
    assert.equal(
      (await run([path, '--model', file('one.yaml', oneGate)])).code,
      6,
      'a slow start is not a Fail, but it stays in the window',
    );
    assert.equal((await run([path, '--model', file('one.yaml', oneGate), '--settle', '2m'])).code, 0);
  });

  it('takes the maximum duration of the step from a flag or the manifest', async () => {
    const path = file('few.jsonl', trace({ seconds: 600, perSecond: 2, factor: 1 }));
    const plain = file('plain.yaml', manifest('{}'));
    const timed = file('timed.yaml', manifest('{steps: [{weight: 50}, {analyze: {require: Pass, maxDuration: 10m}}]}'));
    assert.equal((await run([path, '--model', plain])).code, 6, 'ten of 30 minutes are too early to show less');
    assert.equal((await run([path, '--model', plain, '--max-duration', '10m'])).code, 0);
    assert.equal((await run([path, '--model', timed])).code, 0);
    assert.equal(
      (await run([path, '--model', timed, '--max-duration', '30m'])).code,
      6,
      'the flag has priority over the manifest',
    );
    assert.match(
      (await run([path, '--model', timed])).text,
      /^ranker: .* judged as a step of at most 10m that requires Pass$/m,
    );
    assert.equal(
      (JSON.parse((await run([path, '--model', plain, '--json'])).text) as { readonly maxDuration: string })
        .maxDuration,
      '30m',
    );
  });

  it('decides sooner for pods on the same nodes', async () => {
    const path = file('half.jsonl', trace({ seconds: 900, perSecond: 20, factor: 1.5 }));
    const [shared, unlike] = await Promise.all(
      ['Shared', 'Unlike'].map(
        async (nodes) =>
          document((await run([path, '--model', file('one.yaml', oneGate), '--nodes', nodes, '--json'])).text).outcome,
      ),
    );
    assert.deepEqual([shared?.verdict, unlike?.verdict], ['Fail', 'Fail']);
    assert.ok((shared?.t ?? NaN) < (unlike?.t ?? NaN), `${shared?.t} s and ${unlike?.t} s`);
  });

  it('begins its window with the candidate, not with the hours of stable before it', async () => {
    const random = new Random(9);
    const alone = Array.from({ length: 30_000 }, (_, i) =>
      JSON.stringify({ t: i * 3, revision: 'stable', latencyMs: 500 * Math.exp(0.5 * random.normal()), ok: true }),
    ).join('\n');
    const canary = trace({ seconds: 240, perSecond: 20, factor: 2 }).replaceAll(
      /"t":([0-9.]+)/g,
      (_, t: string) => `"t":${90_000 + Number(t)}`,
    );
    const { outcome, verdicts } = document(
      (await run([file('later.jsonl', `${alone}\n${canary}`), '--model', file('one.yaml', oneGate), '--json'])).text,
    );
    assert.equal(outcome.verdict, 'Fail');
    assert.ok(outcome.t > 90_040 && outcome.t < 90_240, String(outcome.t));
    assert.ok((verdicts[0]?.t ?? 0) > 90_000);
  });

  it('is undecided about stable alone', async () => {
    const { code, text } = await run([
      file('alone.jsonl', '{"t":5,"revision":"stable","latencyMs":1,"ok":true}\n'),
      '--model',
      file('one.yaml', oneGate),
    ]);
    assert.equal(code, 6);
    assert.match(text, /Undecided at 5 s, after 0 requests of the candidate: p95 TooFewRequests/);
  });

  it('distinguishes latencies outside the range of a sidecar', async () => {
    for (const times of [1e-3, 1e4]) {
      const scaled = trace({ seconds: 240, perSecond: 20, factor: 2 }).replaceAll(
        /"latencyMs":([0-9.e+-]+)/g,
        (_, ms: string) => `"latencyMs":${times * Number(ms)}`,
      );
      assert.equal(
        (await run([file('scaled.jsonl', scaled), '--model', file('one.yaml', oneGate)])).code,
        5,
        String(times),
      );
    }
  });

  it('prints a table that a person can read', async () => {
    const { text } = await run([
      file('slow.jsonl', trace({ seconds: 240, perSecond: 20, factor: 2 })),
      '--model',
      file('one.yaml', oneGate),
    ]);
    assert.match(text, /^ranker: 1 gates, 1 analyze steps, alpha 0\.05 each/);
    assert.match(text, /^time +gate +verdict +requests c\/s/m);
    assert.match(text, /Fail at \d+ s, after \d+ requests of the candidate: p95 is at least \+[0-9.]+ %/);
  });

  it('prints its help', async () => {
    const { code, text } = await run(['--help']);
    assert.equal(code, 0);
    assert.match(text, /Exit codes: 0 .*, 5 .*, 6 .*, 2 /);
  });

  // prettier-ignore
  const refusals: readonly { name: string; argv: () => string[]; says: RegExp }[] = [
    { name: 'no trace', argv: () => ['--model', 'x.yaml'], says: /TRACE: give one file \(got 0 arguments\)/ },
    { name: 'no manifest', argv: () => ['x.jsonl'], says: /--model: missing/ },
    { name: 'an unknown flag', argv: () => ['x.jsonl', '--modle', 'x.yaml'], says: /--modle/ },
    { name: 'an invalid interval', argv: () => ['x.jsonl', '--model', 'x.yaml', '--every', '5'],
      says: /--every: '5' is not a duration/ },
    { name: 'an invalid settle time', argv: () => ['x.jsonl', '--model', 'x.yaml', '--settle', 'long'],
      says: /--settle: 'long' is not a duration/ },
    { name: 'an invalid duration of the step', argv: () => ['x.jsonl', '--model', 'x.yaml', '--max-duration', '0s'],
      says: /--max-duration: '0s' is not a duration of at least 1s/ },
    { name: 'an unknown kind of nodes', argv: () => ['x.jsonl', '--model', 'x.yaml',
        '--nodes', 'same'], says: /--nodes: 'same' is unknown; available: Shared, Unlike/ },
    { name: 'a missing trace', argv: () => [join(folder, 'none.jsonl'), '--model', file('one.yaml', oneGate)],
      says: /cannot read .*none\.jsonl/ },
    { name: 'a trace longer than a day', argv:
        () =>
        [
        file('long.jsonl',
        '{"t":0,"revision":"candidate","latencyMs":1,"ok":true}\n' +
          '{"t":90000,"revision":"stable","latencyMs":1,"ok":true}\n'),
        '--model', file('one.yaml', oneGate)], says: /line 2: the canary spans more than 24 hours/ },
  ];
  for (const { name, argv, says } of refusals) it(`refuses ${name}`, () => assert.rejects(run(argv()), says));
});

describe('the gates of a manifest', () => {
  it('have defaults', () => {
    const { plan, require } = readJudgedModel(file('plain.yaml', manifest('{}')));
    assert.equal(require, 'Pass');
    assert.deepEqual(
      plan.gates.map(({ name, ...gate }) => [
        name,
        'tolerance' in gate ? gate.tolerance : 'increase' in gate && gate.increase,
        'atMost' in gate && gate.atMost,
      ]),
      [
        ['p95', 0.15, 1],
        ['errors', 0.01, 0.05],
        ['p99', 0.3, Infinity],
      ],
    );
    const alphas = plan.gates.map((gate) => ('alpha' in gate ? (gate.alpha ?? NaN) : NaN));
    assert.ok(Math.abs(alphas.reduce((sum, alpha) => sum + alpha, 0) - 0.05 / 2) < 1e-12, 'alpha of a step');
    assert.deepEqual(
      { min: plan.minRequests, written: plan.isMinRequestsWritten, steps: plan.analyzeSteps },
      { min: 200, written: false, steps: 2 },
    );
  });

  it('share alpha with the analyze steps', () => {
    const { plan, require } = readJudgedModel(
      file(
        'two.yaml',
        manifest(
          '{steps: [{weight: 5}, {analyze: {require: Pass}}, {weight: 20}, {analyze: {require: NoFail}}, {weight: ' +
            '100}], gates: {alpha: "0.1", latency: [{name: slo, quantile: "0.99", max: 60ms}], errors: {max: 2%}}}',
        ),
      ),
    );
    assert.equal(require, 'NoFail');
    assert.equal(plan.alphaPerGate, 0.1 / 4);
    assert.deepEqual(plan.gates, [
      { kind: 'latency-limit', name: 'slo', quantile: 0.99, maxMs: 60 },
      { kind: 'errors-limit', name: 'errors-max', max: 0.02 },
    ]);
  });

  it('are read with minDetectable, eachClass, confidence and maxDuration', () => {
    const gates =
      '{confidence: Quick, latency: [{name: p95, quantile: "0.95", maxIncrease: 15%, minDetectable: 80%, ' +
      'eachClass: true}], errors: {maxIncrease: 1%, minDetectable: 4%}}';
    const { plan, maxBlocks } = readJudgedModel(
      file(
        'low.yaml',
        manifest(`{steps: [{weight: 5}, {analyze: {require: Pass, maxDuration: 10m}}], gates: ${gates}}`),
      ),
    );
    assert.equal(plan.confidence, 'Quick');
    assert.equal(plan.alphaPerGate, 0.2 / 2);
    assert.deepEqual(plan.gates, [
      { kind: 'latency-increase', name: 'p95', quantile: 0.95, tolerance: 0.15, atMost: 0.8, eachClass: true },
      { kind: 'errors-increase', name: 'errors', increase: 0.01, atMost: 0.04 },
    ]);
    assert.equal(maxBlocks, 30);
  });

  it('belong to the named model', () => {
    const both = file(
      'both.yaml',
      `${manifest('{}')}---\n${manifest('{gates: {alpha: "0.01"}}').replace('ranker', 'other')}`,
    );
    assert.equal(readJudgedModel(both, 'other').plan.alphaPerGate, 0.01 / 6);
    assert.throws(() => readJudgedModel(both), /the file has 2 objects of kind OnnxModel: choose one with --name/);
    assert.throws(() => readJudgedModel(both, 'third'), /has no OnnxModel named third/);
  });

  // prettier-ignore
  const bad: readonly { name: string; rollout: string; says: RegExp }[] = [
    { name: 'a percentage that is a number', rollout: '{gates: {errors: {max: 2}}}',
      says: /gates\.errors\.max: is 2, expected text/ },
    { name: 'a percentage without its sign', rollout: '{gates: {errors: {max: "2"}}}',
      says: /gates\.errors\.max: '2' is not a percentage/ },
    { name: 'a quantile of one', rollout: '{gates: {latency: [{name: a, quantile: "1", max: 1s}]}}',
      says: /latency\[0\]\.quantile: '1' is not a number above 0 and below 1/ },
    { name: 'both limits', rollout: '{gates: {latency: [{name: a, quantile: "0.5", max: 1s, maxIncrease: 5%}]}}',
      says: /latency\[0\]: must have either max or maxIncrease/ },
    { name: 'a limit that is not a duration', rollout:
        '{gates: {latency: [{name: a, quantile: "0.5", max: fast}]}}', says: /'fast' is not a duration/ },
    { name: 'an unknown gate', rollout: '{gates: {latencies: []}}', says: /gates\.latencies: unknown field/ },
    { name: 'an analyze step with an unknown requirement', rollout: '{steps: [{analyze: {require: Maybe}}]}',
      says: /steps\[0\]\.analyze\.require: is "Maybe", expected NoFail or Pass/ },
    { name: 'a minDetectable below the limit',
      rollout: '{gates: {latency: [{name: a, quantile: "0.5", maxIncrease: 15%, minDetectable: 10%}]}}',
      says: /latency\[0\]\.minDetectable: '10%' must be at least maxIncrease/ },
    { name: 'a minDetectable without a limit', rollout: '{gates: {errors: {minDetectable: 5%}}}',
      says: /errors\.minDetectable: requires maxIncrease/ },
    { name: 'an eachClass that is text', rollout:
        '{gates: {latency: [{name: a, quantile: "0.5", maxIncrease: 5%, eachClass: "yes"}]}}',
      says: /latency\[0\]\.eachClass: is "yes", expected true or false/ },
    { name: 'an eachClass for a limit in milliseconds',
      rollout: '{gates: {latency: [{name: a, quantile: "0.5", max: 5ms, eachClass: true}]}}',
      says: /latency\[0\]\.eachClass: requires maxIncrease/ },
    { name: 'an unknown confidence', rollout: '{gates: {confidence: High}}',
      says: /gates\.confidence: is "High", expected one of Strict, Standard, Quick/ },
    { name: 'a maxDuration that is not a duration', rollout: '{steps: [{analyze: {require: Pass, maxDuration: soon}}]}',
      says: /steps\[0\]\.analyze\.maxDuration: 'soon' is not a duration/ },
    { name: 'alpha of zero', rollout: '{gates: {alpha: "0"}}', says: /gates\.alpha: '0' is not a number above 0/ },
  ];
  for (const { name, rollout, says } of bad)
    it(`refuse ${name}`, () => assert.throws(() => readJudgedModel(file('bad.yaml', manifest(rollout))), says));

  it('need a model, in YAML', () => {
    assert.throws(() => readJudgedModel(file('pod.yaml', 'kind: Pod\n')), /has no OnnxModel/);
    assert.throws(() => readJudgedModel(file('broken.yaml', 'a: [1\n')), /not YAML/);
    assert.throws(() => readJudgedModel(join(folder, 'absent.yaml')), /cannot read .*absent\.yaml/);
  });
});
