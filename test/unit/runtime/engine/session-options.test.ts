/** The session options that the runtime passes to ONNX Runtime. */
import assert from 'node:assert/strict';
import { sessionOptions, usesArena, type SessionPlan } from '../../../../runtime/engine/session-options.ts';
import type { Signature } from '../../../../runtime/engine/signature.ts';
import { givenConfig } from '../../../support/model-server.ts';

const shaped = (...dims: readonly (number | string)[]): Signature => ({
  inputs: [{ name: 'x', type: 'float32', dims }],
  outputs: [],
});
const { execution, memory } = givenConfig();
const plan: SessionPlan = {
  execution,
  memory,
  threads: { workers: 1, threadsPerWorker: 2, spin: 'Brief' },
  signature: shaped('batch', 4),
  optimized: false,
};

describe('sessionOptions', () => {
  it('sets every option that matters', () => {
    assert.deepEqual(sessionOptions(plan), {
      executionProviders: [{ name: 'cpu' }],
      intraOpNumThreads: 2,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      enableCpuMemArena: true,
      enableMemPattern: true,
      logSeverityLevel: 4,
      extra: { 'session.intra_op.allow_spinning': '1', 'session.intra_op.spin_duration_us': '50' },
    });
  });

  it('does not optimise a graph twice', () =>
    assert.equal(sessionOptions({ ...plan, optimized: true }).graphOptimizationLevel, 'disabled'));
  it('does not spin where spinning is off', () =>
    assert.deepEqual(sessionOptions({ ...plan, threads: { ...plan.threads, spin: 'Off' } }).extra, {
      'session.intra_op.allow_spinning': '0',
    }));

  it('prefers the entries of the spec', () => {
    const entries = { 'session.intra_op.allow_spinning': '0', 'session.set_denormal_as_zero': '1' };
    assert.deepEqual(sessionOptions({ ...plan, execution: { ...execution, sessionConfig: entries } }).extra, {
      'session.intra_op.spin_duration_us': '50',
      ...entries,
    });
  });

  it('passes providers in order, with their options', () => {
    const providers = [
      { name: 'CUDA' as const, options: { deviceId: '1' } },
      { name: 'CPU' as const, options: {} },
    ];
    assert.deepEqual(sessionOptions({ ...plan, execution: { ...execution, providers } }).executionProviders, [
      { deviceId: '1', name: 'cuda' },
      { name: 'cpu' },
    ]);
  });
});

describe('the arena and its memory patterns', () => {
  const options = (signature: Signature, arena?: boolean): readonly boolean[] => {
    const { enableCpuMemArena, enableMemPattern } = sessionOptions({
      ...plan,
      signature,
      ...(arena === undefined ? {} : { arena }),
    });
    return [enableCpuMemArena, enableMemPattern];
  };
  it('are both on for fixed sizes', () => assert.deepEqual(options(shaped('batch', 4)), [true, true]));
  it('has no patterns for varying sizes, which would keep one for every size', () =>
    assert.deepEqual(options(shaped('batch', 'length'), true), [true, false]));
});

describe('usesArena', () => {
  const rows = [
    { name: 'on where only the batch varies', arena: 'Auto', signature: shaped('batch', 4), want: true },
    { name: 'off where another dimension varies', arena: 'Auto', signature: shaped('batch', 'sequence'), want: false },
    {
      name: 'off where the rank is unknown',
      arena: 'Auto',
      signature: { inputs: [{ name: 'x', type: 'float32' }], outputs: [] },
      want: false,
    },
    {
      name: 'on where a measurement says so',
      arena: 'Auto',
      signature: shaped('batch', 'sequence'),
      measured: true,
      want: true,
    },
    {
      name: 'off where the spec says so in spite of it',
      arena: 'Off',
      signature: shaped(1, 4),
      measured: true,
      want: false,
    },
    { name: 'on where the spec says so', arena: 'On', signature: shaped('batch', 'sequence'), want: true },
    { name: 'off where the spec says so', arena: 'Off', signature: shaped(1, 4), want: false },
  ] as const;
  for (const { name, arena, signature, want, ...more } of rows)
    it(`is ${name}`, () =>
      assert.equal(usesArena({ arena }, signature, 'measured' in more ? more.measured : undefined), want));
});
