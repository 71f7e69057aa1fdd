/**
 * The checks that a candidate (new revision) must pass before it gets traffic, such as its golden set: inputs with
 * known answers.
 */
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
  { it: 'passes with the score in the message', candidate: { record: record(all), pods: [pod({})],
      stable: stable() }, verdict: 'Pass', reason: 'ChecksPassed',
    says: /^golden set: Cosine 0\.9998 in the worst of 32 cases, required: at least 0\.99$/ },
  { it: 'waits for the result of prepare', candidate: { record: record({ resolved: undefined }),
      pods: [pod(undefined)] }, verdict: 'Waiting', reason: 'ReportMissing',
    says: /no pod has reported its resolved model yet/ },
  { it: 'waits for a ready pod', candidate: { record: record(), pods: [] },
    verdict: 'Waiting', reason: 'ReportMissing', says: /no pod is ready/ },
  { it: 'waits for one silent pod of several',
    candidate: { record: record(all), pods: [pod({}), { name: 'pod-2', report: undefined }] },
    verdict: 'Waiting', reason: 'ReportMissing', says: /^1 of 2 ready pods have not reported yet: pod-2$/ },

  { it: 'fails an input of another type', candidate: { record: record({ resolved: otherIo }),
      pods: [pod(undefined)], stable: stable() }, verdict: 'Fail', reason: 'SignatureChanged',
    says: /^input 'x' is int64\[\?,4\], stable has float32\[\?,4\] \(spec\.model\.schemaPolicy: Compatible\)$/ },
  { it: 'fails another input type before any pod is ready',
    candidate: { record: record({ resolved: otherIo }), pods: [], stable: stable() },
    verdict: 'Fail', reason: 'SignatureChanged', says: /int64/ },
  { it: 'passes another input type with policy Any', candidate: { record: record({ resolved: otherIo, policy: 'Any' }),
      pods: [pod(undefined)], stable: stable() }, verdict: 'Pass', reason: 'ChecksPassed', says: /./ },
  { it: 'passes a model that accepts more', candidate: { record: record({ resolved: wider }),
      pods: [pod(undefined)], stable: stable() }, verdict: 'Pass', reason: 'ChecksPassed', says: /./ },
  { it: 'fails a model that accepts more with policy Exact',
    candidate: { record: record({ resolved: wider, policy: 'Exact' }), pods: [pod(undefined)], stable: stable() },
    verdict: 'Fail', reason: 'SignatureChanged', says: /input 'x' is float32\[\?,\?\].*Exact/ },
  { it: 'fails another signature whose inputs are unknown',
    candidate: { record: record({ resolved: unspoken }), pods: [pod(undefined)], stable: stable() },
    verdict: 'Fail', reason: 'SignatureChanged', says: /the difference is unknown/ },
  { it: 'passes an equal signature whose inputs are unknown',
    candidate: { record: record({ resolved: { ...unspoken, signature: 'one' } }),
      pods: [pod(undefined)], stable: stable() }, verdict: 'Pass', reason: 'ChecksPassed', says: /./ },
  { it: 'does not compare with a stable that is not resolved',
    candidate: { record: record({ resolved: otherIo }), pods: [pod(undefined)],
      stable: stable({ resolved: undefined }) }, verdict: 'Pass', reason: 'ChecksPassed', says: /./ },

  { it: 'passes a model that runs wholly on the requested provider',
    candidate: { record: record(), pods: [pod(undefined, uses(['CPU', 1]))] },
    verdict: 'Pass', reason: 'ChecksPassed', says: /./ },
  { it: 'fails nodes on another provider', candidate: { record: record(),
      pods: [pod(undefined, uses(['CPU', 0.88], ['CUDA', 0.12]))] }, verdict: 'Fail', reason: 'ProviderFallback',
    says: /^12% of the nodes run on CUDA instead of CPU on pod pod-1 \(spec\.execution\.fallbackPolicy: Forbid\)$/ },
  { it: 'fails if one pod of several falls back',
    candidate: { record: record(), pods: [pod(undefined, uses(['CPU', 1])),
      pod(undefined, uses(['CUDA', 1]), 'pod-2')] }, verdict: 'Fail', reason: 'ProviderFallback', says: /pod-2/ },
  { it: 'uses the provider of the session when there are no measurements',
    candidate: { record: record({ resolved: { ...resolved, provider: 'CUDA' } }), pods: [pod(undefined)] },
    verdict: 'Fail', reason: 'ProviderFallback', says: /^the model runs on CUDA instead of CPU/ },
  { it: 'passes a fallback with a message under Warn',
    candidate: { record: record({ fallback: 'Warn' }),
      pods: [pod(undefined, uses(['CPU', 0.996], ['CUDA', 0.004]))] }, verdict: 'Pass',
    reason: 'ChecksPassed', says: /^less than 1% of the nodes run on CUDA instead of CPU on pod pod-1$/ },
  { it: 'passes a fallback without a message under Allow', candidate: { record: record({ fallback: 'Allow' }),
      pods: [pod(undefined, uses(['CUDA', 1]))] }, verdict: 'Pass', reason: 'ChecksPassed', says: /^all checks/ },

  { it: 'waits for a golden run that has not started', candidate: { record: record(all), pods: [pod(undefined)] },
    verdict: 'Waiting', reason: 'GoldenWaiting', says: /pod-1 has not started the golden run/ },
  { it: 'does not accept the result of another set', candidate: { record: record(all), pods: [pod({ id: 'set-0' })] },
    verdict: 'Waiting', reason: 'GoldenWaiting', says: /has not started the golden run/ },
  { it: 'reports the progress of the golden run', candidate: { record: record(all),
      pods: [pod({ state: 'Running', done: 12, score: null })] }, verdict: 'Waiting',
    reason: 'GoldenWaiting', says: /^golden set: pod pod-1 has run 12 of 32 cases$/ },
  { it: 'reports what the golden run waits for', candidate: { record: record(all),
      pods: [pod({ state: 'Waiting', score: null, problem: 'no pod of stable answered line 1: 429' })] },
    verdict: 'Waiting', reason: 'GoldenWaiting', says: /pod pod-1 is waiting: no pod of stable answered line 1: 429/ },
  { it: 'fails an invalid set', candidate: { record: record(all),
      pods: [pod({ state: 'Broken', score: null, problem: 'golden set, line 2: it: the line is not JSON' })] },
    verdict: 'Fail', reason: 'GoldenSetInvalid', says: /^golden set, line 2: it: the line is not JSON \(pod pod-1\)$/ },
  { it: 'fails a score below the limit, with the case',
    candidate: { record: record(all), pods: [pod({ score: 0.7134, problem: 'line 3 is the worst' })],
      stable: stable() }, verdict: 'Fail', reason: 'GoldenFailed',
    says:
      new RegExp(String.raw`^golden set: Cosine 0\.7134 in the worst of 32 cases, required: at least 0\.99; ` +
        String.raw`line 3 is the worst \(pod pod-1\)$`) },
  { it: 'prints a failed score with enough digits to differ from the limit',
    candidate: { record: record(all), pods: [pod({ score: 0.98996 })] },
    verdict: 'Fail', reason: 'GoldenFailed', says: /Cosine 0\.98996 / },
  { it: 'fails one pod whose answers are wrong, without waiting for the others',
    candidate: { record: record(all), pods: [pod({ state: 'Running' }), pod({}), pod({ score: 0.2 }, {}, 'pod-3')] },
    verdict: 'Fail', reason: 'GoldenFailed', says: /Cosine 0\.2 .*\(pod pod-3\)$/ },
  { it: 'waits while the run of one pod of several is not done',
    candidate: { record: record(all), pods: [pod({}), pod({ state: 'Running', done: 1 }, {}, 'pod-2')] },
    verdict: 'Waiting', reason: 'GoldenWaiting', says: /pod pod-2 has run 1 of 32 cases/ },
  { it: 'passes with the worst of several pods',
    candidate: { record: record(all), pods: [pod({}), pod({ score: 0.9921 }, {}, 'pod-2')] },
    verdict: 'Pass', reason: 'ChecksPassed', says: /Cosine 0\.9921 / },
  { it: 'compares an error with its maximum', candidate: {
      record: record({ golden: { id: 'set-1', metric: 'MaxAbsError', max: 0.02, source: config.source } }),
      pods: [pod({ score: 0.5 })] }, verdict: 'Fail', reason: 'GoldenFailed',
    says: /MaxAbsError 0\.5 in the worst of 32 cases, required: at most 0\.02/ },
  { it: 'describes an error that is not a number',
    candidate: { record: record({ golden: { id: 'set-1', metric: 'MaxAbsError', max: 0.02,
      source: config.source } }), pods: [pod({ score: Number.MAX_VALUE, problem: "line 1: output 'y' is NaN" })] },
    verdict: 'Fail', reason: 'GoldenFailed', says: /MaxAbsError too large to compute .*; line 1: output 'y' is NaN/ },
  { it: 'describes a mean as a mean', candidate: {
      record: record({ golden: { id: 'set-1', metric: 'Top1Agreement', min: 0.9,
      source: config.source } }), pods: [pod({ score: 0.8 })] }, verdict: 'Fail',
    reason: 'GoldenFailed', says: /Top1Agreement 0\.8 over 32 cases, required: at least 0\.9/ },
  { it: 'advises to provide a golden set when generated inputs failed',
    candidate: { record: record({ golden: made }), pods: [pod({ score: 0.3 })], stable: stable() },
    verdict: 'Fail', reason: 'GoldenFailed', says: /set spec\.rollout\.gates\.golden to a golden set of your own/ },
  { it: 'passes a first revision whose numbers are finite',
    candidate: { record: record({ golden: made }), pods: [pod({ score: null, compared: 0 })] }, verdict: 'Pass',
    reason: 'ChecksPassed', says: /^generated inputs: all numbers of 32 cases are finite; answers were not compared$/ },
  { it: 'waits for stable\'s answers while stable has ready pods',
    candidate: { record: record({ golden: made }), pods: [pod({ score: null, compared: 0 })], stable: stable() },
    verdict: 'Waiting', reason: 'ChecksRunning', says: /has not compared its answers with stable's yet/ },
  { it: 'fails a wrong answer before the comparison with stable',
    candidate: { record: record({ golden: made }),
      pods: [pod({ score: -1, compared: 1, problem: "case 1: output 'y' is NaN at element 0" })],
      stable: stable() }, verdict: 'Fail', reason: 'GoldenFailed', says: /NaN/ },
  { it: 'does not wait for a stable that is down, because the candidate may be the fix',
    candidate: { record: record({ golden: made }), pods: [pod({ score: null, compared: 0 })],
      stable: stable({}, 0) }, verdict: 'Pass', reason: 'ChecksPassed', says: /answers were not compared/ },
  { it: 'does not wait for a comparison with policy Any, because inputs may differ',
    candidate: { record: record({ golden: made, policy: 'Any' }),
      pods: [pod({ score: null, compared: 0, problem: "its inputs are not stable's" })], stable: stable() },
    verdict: 'Pass', reason: 'ChecksPassed', says: /answers were not compared; its inputs are not stable's/ },
  { it: 'passes a model for which inputs cannot be generated',
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
