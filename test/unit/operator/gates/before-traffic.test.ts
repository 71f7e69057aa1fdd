import assert from 'node:assert/strict';
import { withDefaults } from '../../../../api/defaults.ts';
import type { Resolved } from '../../../../api/last-words.ts';
import type { GoldenResult, Report } from '../../../../api/report.ts';
import type { GoldenConfig } from '../../../../api/runtime-config.ts';
import { checkBeforeTraffic, type Candidate, type ReadyPod } from '../../../../operator/gates/before-traffic.ts';
import type { RevisionRecord } from '../../../../operator/resources/objects.ts';
import type { Checks } from '../../../../operator/rollout/state.ts';

const resolved: Resolved = {
  digest: `sha256:${'a'.repeat(64)}`,
  bytes: 1,
  signature: 'one',
  opset: 17,
  precision: 'Source',
  provider: 'CPU',
  memoryEstimateBytes: 1,
  io: { inputs: { x: 'float32[?,4]' }, outputs: { y: 'float32[?,2]' } },
};
const otherIo: Resolved = {
  ...resolved,
  signature: 'two',
  io: { inputs: { x: 'int64[?,4]' }, outputs: { y: 'float32[?,2]' } },
};
const wider: Resolved = {
  ...resolved,
  signature: 'three',
  io: { inputs: { x: 'float32[?,?]' }, outputs: { y: 'float32[?,2]', z: 'int64[?]' } },
};
const unspoken: Resolved = {
  digest: resolved.digest,
  bytes: 1,
  signature: 'four',
  opset: 17,
  precision: 'Source',
  provider: 'CPU',
  memoryEstimateBytes: 1,
};

const config: GoldenConfig = {
  id: 'set-1',
  metric: 'Cosine',
  min: 0.99,
  source: { kind: 'File', file: 'golden.jsonl' },
};
const made: GoldenConfig = { ...config, source: { kind: 'Generated', seed: 1, cases: 16 } };
const done: GoldenResult = {
  id: 'set-1',
  state: 'Done',
  n: 32,
  done: 32,
  passed: 32,
  compared: 32,
  score: 0.9998,
  worst: 0.9998,
};

type Wants = {
  readonly policy?: 'Compatible' | 'Exact' | 'Any';
  readonly fallback?: 'Forbid' | 'Warn' | 'Allow';
  readonly resolved?: Resolved | undefined;
  readonly golden?: GoldenConfig | undefined;
};

function record({ policy, fallback, golden, ...rest }: Wants = {}): RevisionRecord {
  const written = {
    model: { uri: 'https://x/m.onnx', ...(policy === undefined ? {} : { schemaPolicy: policy }) },
    execution: {
      providers: [{ name: 'CPU' as const }],
      ...(fallback === undefined ? {} : { fallbackPolicy: fallback }),
    },
  };
  const found = 'resolved' in rest ? rest.resolved : resolved;
  return {
    revision: 'aaaaaaaaaa',
    generation: 2,
    written,
    spec: withDefaults(written, 'image'),
    ...(found === undefined ? {} : { resolved: found }),
    ...(golden === undefined ? {} : { golden: { config: golden, attempt: 1 } }),
  };
}

function pod(golden: Partial<GoldenResult> | undefined, more: Partial<Report> = {}, name = 'pod-1'): ReadyPod {
  return {
    name,
    report: {
      schema: 1,
      bootId: 'b',
      seq: 1,
      revision: 'aaaaaaaaaa',
      ...(golden === undefined ? {} : { golden: { ...done, ...golden } }),
      ...more,
    },
  };
}

const stable = (of: Wants = {}, ready = 1): NonNullable<Candidate['stable']> => ({
  record: record(of),
  canAnswer: ready > 0,
});
const uses = (...actual: readonly (readonly ['CPU' | 'CUDA', number])[]): Partial<Report> => ({
  providers: { requested: ['CPU'], actual: actual.map(([provider, nodes]) => ({ provider, nodes, time: nodes })) },
});

type Row = {
  readonly it: string;
  readonly candidate: Candidate;
  readonly verdict: Checks['verdict'];
  readonly reason: Checks['reason'];
  readonly says: RegExp;
};
const all = { golden: config };

// prettier-ignore
const rows: readonly Row[] = [
  { it: 'passes a first revision without a golden set', candidate: { record: record(), pods: [pod(undefined)] },
    verdict: 'Pass', reason: 'ChecksPassed', says: /^all checks before traffic have passed$/ },
  { it: 'passes with the numbers', candidate: { record: record(all), pods: [pod({})],
      stable: stable() }, verdict: 'Pass', reason: 'ChecksPassed',
    says: /^golden set: Cosine 0\.9998 in the worst of 32 cases, required: at least 0\.99$/ },
  { it: 'waits for what prepare says', candidate: { record: record({ resolved: undefined }),
      pods: [pod(undefined)] }, verdict: 'Waiting', reason: 'ReportMissing', says: /no pod has said yet/ },
  { it: 'waits for a ready pod', candidate: { record: record(), pods: [] },
    verdict: 'Waiting', reason: 'ReportMissing', says: /no pod is ready/ },
  { it: 'waits for a silent pod among others',
    candidate: { record: record(all), pods: [pod({}), { name: 'pod-2', report: undefined }] },
    verdict: 'Waiting', reason: 'ReportMissing', says: /^1 of 2 ready pods have not reported yet: pod-2$/ },

  { it: 'fails an input of another type', candidate: { record: record({ resolved: otherIo }),
      pods: [pod(undefined)], stable: stable() }, verdict: 'Fail', reason: 'SignatureChanged',
    says: /^input 'x' is int64\[\?,4\], stable has float32\[\?,4\] \(spec\.model\.schemaPolicy: Compatible\)$/ },
  { it: 'fails it before any pod is ready',
    candidate: { record: record({ resolved: otherIo }), pods: [], stable: stable() },
    verdict: 'Fail', reason: 'SignatureChanged', says: /int64/ },
  { it: 'lets it pass with policy Any', candidate: { record: record({ resolved: otherIo, policy: 'Any' }),
      pods: [pod(undefined)], stable: stable() }, verdict: 'Pass', reason: 'ChecksPassed', says: /./ },
  { it: 'lets a wider model pass', candidate: { record: record({ resolved: wider }),
      pods: [pod(undefined)], stable: stable() }, verdict: 'Pass', reason: 'ChecksPassed', says: /./ },
  { it: 'fails a wider model with policy Exact',
    candidate: { record: record({ resolved: wider, policy: 'Exact' }), pods: [pod(undefined)], stable: stable() },
    verdict: 'Fail', reason: 'SignatureChanged', says: /input 'x' is float32\[\?,\?\].*Exact/ },
  { it: 'fails another signature of which nobody said what it is',
    candidate: { record: record({ resolved: unspoken }), pods: [pod(undefined)], stable: stable() },
    verdict: 'Fail', reason: 'SignatureChanged', says: /the difference is unknown/ },
  { it: 'takes the same signature for the same, whatever was said of it',
    candidate: { record: record({ resolved: { ...unspoken, signature: 'one' } }),
      pods: [pod(undefined)], stable: stable() }, verdict: 'Pass', reason: 'ChecksPassed', says: /./ },
  { it: 'has nothing to compare with a stable that is not resolved',
    candidate: { record: record({ resolved: otherIo }), pods: [pod(undefined)],
      stable: stable({ resolved: undefined }) }, verdict: 'Pass', reason: 'ChecksPassed', says: /./ },

  { it: 'passes what runs wholly where it was asked to',
    candidate: { record: record(), pods: [pod(undefined, uses(['CPU', 1]))] },
    verdict: 'Pass', reason: 'ChecksPassed', says: /./ },
  { it: 'fails nodes on another provider', candidate: { record: record(),
      pods: [pod(undefined, uses(['CPU', 0.88], ['CUDA', 0.12]))] }, verdict: 'Fail', reason: 'ProviderFallback',
    says: /^CPU was asked for, CUDA runs 12% of the nodes on pod pod-1 \(spec\.execution\.fallbackPolicy: Forbid\)$/ },
  { it: 'fails one pod out of several that falls back',
    candidate: { record: record(), pods: [pod(undefined, uses(['CPU', 1])),
      pod(undefined, uses(['CUDA', 1]), 'pod-2')] }, verdict: 'Fail', reason: 'ProviderFallback', says: /pod-2/ },
  { it: 'goes by the session where nothing was measured',
    candidate: { record: record({ resolved: { ...resolved, provider: 'CUDA' } }), pods: [pod(undefined)] },
    verdict: 'Fail', reason: 'ProviderFallback', says: /^CPU was asked for, CUDA is used/ },
  { it: 'passes it with a word under Warn',
    candidate: { record: record({ fallback: 'Warn' }),
      pods: [pod(undefined, uses(['CPU', 0.996], ['CUDA', 0.004]))] }, verdict: 'Pass',
    reason: 'ChecksPassed', says: /^CPU was asked for, CUDA runs less than 1% of the nodes on pod pod-1$/ },
  { it: 'passes it silently under Allow', candidate: { record: record({ fallback: 'Allow' }),
      pods: [pod(undefined, uses(['CUDA', 1]))] }, verdict: 'Pass', reason: 'ChecksPassed', says: /^all checks/ },

  { it: 'waits for a golden run that has not begun', candidate: { record: record(all), pods: [pod(undefined)] },
    verdict: 'Waiting', reason: 'GoldenWaiting', says: /pod-1 has not begun/ },
  { it: 'does not take another set for this one', candidate: { record: record(all), pods: [pod({ id: 'set-0' })] },
    verdict: 'Waiting', reason: 'GoldenWaiting', says: /has not begun/ },
  { it: 'tells how far it is', candidate: { record: record(all),
      pods: [pod({ state: 'Running', done: 12, score: null })] }, verdict: 'Waiting',
    reason: 'GoldenWaiting', says: /^golden set: 12 of 32 cases are done on pod pod-1$/ },
  { it: 'tells what it waits for', candidate: { record: record(all),
      pods: [pod({ state: 'Waiting', score: null, problem: 'no pod of stable answered line 1: 429' })] },
    verdict: 'Waiting', reason: 'GoldenWaiting', says: /pod pod-1 waits: no pod of stable answered line 1: 429/ },
  { it: 'fails a set that cannot be run', candidate: { record: record(all),
      pods: [pod({ state: 'Broken', score: null, problem: 'golden set, line 2: it: the line is not JSON' })] },
    verdict: 'Fail', reason: 'GoldenSetInvalid', says: /^golden set, line 2: it: the line is not JSON \(pod pod-1\)$/ },
  { it: 'fails a score below the limit, with the case',
    candidate: { record: record(all), pods: [pod({ score: 0.7134, problem: 'line 3 is the worst' })],
      stable: stable() }, verdict: 'Fail', reason: 'GoldenFailed',
    says:
      new RegExp(String.raw`^golden set: Cosine 0\.7134 in the worst of 32 cases, required: at least 0\.99; ` +
        String.raw`line 3 is the worst \(pod pod-1\)$`) },
  { it: 'never prints a score as the limit that it misses',
    candidate: { record: record(all), pods: [pod({ score: 0.98996 })] },
    verdict: 'Fail', reason: 'GoldenFailed', says: /Cosine 0\.98996 / },
  { it: 'fails one pod whose answers are wrong, without waiting for the others',
    candidate: { record: record(all), pods: [pod({ state: 'Running' }), pod({}), pod({ score: 0.2 }, {}, 'pod-3')] },
    verdict: 'Fail', reason: 'GoldenFailed', says: /Cosine 0\.2 .*\(pod pod-3\)$/ },
  { it: 'waits while one pod of several is not done',
    candidate: { record: record(all), pods: [pod({}), pod({ state: 'Running', done: 1 }, {}, 'pod-2')] },
    verdict: 'Waiting', reason: 'GoldenWaiting', says: /1 of 32 cases are done on pod pod-2/ },
  { it: 'passes with the worst of several pods',
    candidate: { record: record(all), pods: [pod({}), pod({ score: 0.9921 }, {}, 'pod-2')] },
    verdict: 'Pass', reason: 'ChecksPassed', says: /Cosine 0\.9921 / },
  { it: 'holds an error against its max', candidate: {
      record: record({ golden: { id: 'set-1', metric: 'MaxAbsError', max: 0.02, source: config.source } }),
      pods: [pod({ score: 0.5 })] }, verdict: 'Fail', reason: 'GoldenFailed',
    says: /MaxAbsError 0\.5 in the worst of 32 cases, required: at most 0\.02/ },
  { it: 'has words for an error that is no number',
    candidate: { record: record({ golden: { id: 'set-1', metric: 'MaxAbsError', max: 0.02,
      source: config.source } }), pods: [pod({ score: Number.MAX_VALUE, problem: "line 1: output 'y' is NaN" })] },
    verdict: 'Fail', reason: 'GoldenFailed', says: /MaxAbsError too large to compute .*; line 1: output 'y' is NaN/ },
  { it: 'tells a mean as one', candidate: {
      record: record({ golden: { id: 'set-1', metric: 'Top1Agreement', min: 0.9,
      source: config.source } }), pods: [pod({ score: 0.8 })] }, verdict: 'Fail',
    reason: 'GoldenFailed', says: /Top1Agreement 0\.8 over 32 cases, required: at least 0\.9/ },
  { it: 'tells who failed made-up inputs how to give better ones',
    candidate: { record: record({ golden: made }), pods: [pod({ score: 0.3 })], stable: stable() },
    verdict: 'Fail', reason: 'GoldenFailed', says: /set spec\.rollout\.gates\.golden to a golden set of your own/ },
  { it: 'passes a first revision whose numbers are finite',
    candidate: { record: record({ golden: made }), pods: [pod({ score: null, compared: 0 })] }, verdict: 'Pass',
    reason: 'ChecksPassed', says: /^generated inputs: all numbers of 32 cases are finite; answers were not compared$/ },
  { it: 'waits for stable\'s answers while stable has ready pods',
    candidate: { record: record({ golden: made }), pods: [pod({ score: null, compared: 0 })], stable: stable() },
    verdict: 'Waiting', reason: 'ChecksRunning', says: /is to compare its answers with stable's/ },
  { it: 'fails before that what is wrong already',
    candidate: { record: record({ golden: made }),
      pods: [pod({ score: -1, compared: 1, problem: "case 1: output 'y' is NaN at element 0" })],
      stable: stable() }, verdict: 'Fail', reason: 'GoldenFailed', says: /NaN/ },
  { it: 'does not wait for a stable that is down: this may be its mend',
    candidate: { record: record({ golden: made }), pods: [pod({ score: null, compared: 0 })],
      stable: stable({}, 0) }, verdict: 'Pass', reason: 'ChecksPassed', says: /answers were not compared/ },
  { it: 'does not wait for answers to inputs that stable has not, with policy Any',
    candidate: { record: record({ golden: made, policy: 'Any' }),
      pods: [pod({ score: null, compared: 0, problem: "the model's inputs differ from stable's" })], stable: stable() },
    verdict: 'Pass', reason: 'ChecksPassed', says: /; the model's inputs differ from stable's/ },
  { it: 'passes a model that nothing can be asked',
    candidate: { record: record({ golden: made }),
      pods: [pod({ n: 0, done: 0, passed: 0, compared: 0, score: null,
      problem: 'no cases were generated: 500' })], stable: stable() },
    verdict: 'Pass', reason: 'ChecksPassed', says: /^generated inputs: no cases were generated/ },
];

describe('the checks before traffic', () => {
  for (const { it: name, candidate, verdict, reason, says } of rows) {
    it(name, () => {
      const checks = checkBeforeTraffic(candidate);
      assert.deepEqual([checks.verdict, checks.reason], [verdict, reason], checks.message);
      assert.match(checks.message, says);
    });
  }
});
