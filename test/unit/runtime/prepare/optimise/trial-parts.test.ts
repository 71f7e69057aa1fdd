/**
 * The pure parts of a trial run (running a model once before it is served): generated inputs, the comparison of
 * outputs, execution providers, profiles, and the key under which an optimised model is cached.
 */
import assert from 'node:assert/strict';
import type { ProviderName } from '../../../../../api/choices.ts';
import { whyNotOptimise } from '../../../../../runtime/prepare/optimise/why-not-optimise.ts';
import { buildKey, cpuFlags, type KeyParts } from '../../../../../runtime/prepare/optimise/build-key.ts';
import { outputDifference } from '../../../../../runtime/prepare/optimise/compare-outputs.ts';
import { providerShares } from '../../../../../runtime/prepare/optimise/profile.ts';
import { planProviders, providersToProbe } from '../../../../../runtime/engine/providers.ts';
import type { TensorSpec } from '../../../../../runtime/engine/signature.ts';
import { makeTensor, type ArrayOf, type TensorType } from '../../../../../runtime/engine/tensor.ts';
import { trialInputs } from '../../../../../runtime/engine/trial-inputs.ts';

describe('trialInputs', () => {
  const one = (spec: TensorSpec, sample = { fill: 8, rows: 2, seed: 1 }) => trialInputs([spec], sample)?.[spec.name];

  it('treats the first free dimension as the batch and fills the others', () => {
    assert.deepEqual(one({ name: 'x', type: 'float32', dims: ['N', 3, 'length', 'batch_size'] })?.dims, [2, 3, 8, 2]);
  });
  it('keeps fixed dimensions', () => assert.deepEqual(one({ name: 'x', type: 'float32', dims: [1, 4] })?.dims, [1, 4]));
  it('generates a scalar for no dimensions', () =>
    assert.equal(one({ name: 'x', type: 'int64', dims: [] })?.data.length, 1));
  it('generates one dimension for an unknown rank', () =>
    assert.deepEqual(one({ name: 'x', type: 'float32' })?.dims, [2, 8]));
  it('fills masks with ones', () =>
    assert.deepEqual(
      [...(one({ name: 'attention_mask', type: 'int64', dims: ['N', 2] })?.data ?? [])],
      [1n, 1n, 1n, 1n],
    ));
  it('gives equal values only for equal seeds', () => {
    const spec: TensorSpec = { name: 'x', type: 'float32', dims: [4] };
    assert.deepEqual(one(spec), one(spec));
    assert.notDeepEqual(one(spec), one(spec, { fill: 8, rows: 2, seed: 2 }));
  });
  it('does not generate inputs that are too large', () =>
    assert.equal(one({ name: 'x', type: 'float32', dims: [10_000, 10_000] }), undefined));
  for (const type of [
    'float32',
    'float64',
    'float16',
    'int8',
    'uint8',
    'int16',
    'uint16',
    'int32',
    'uint32',
    'int64',
    'uint64',
    'bool',
    'string',
  ] as const) {
    it(`generates small values of ${type}`, () => {
      const values = [...(one({ name: 'x', type, dims: [100] })?.data ?? [])];
      const mild =
        type === 'string' ? ['a', 'b'] : type === 'float16' ? [0xbc00, 0xb800, 0, 0x3800, 0x3c00] : undefined;
      assert.equal(values.length, 100);
      assert.ok(
        values.every((value) =>
          mild === undefined ? Math.abs(Number(value)) <= 1 : (mild as unknown[]).includes(value),
        ),
      );
      assert.ok(new Set(values).size > 1);
    });
  }
});

describe('differenceOf', () => {
  const t = <T extends TensorType>(type: T, data: ArrayOf[T], dims = [data.length]) => ({
    y: makeTensor(type, dims, data),
  });
  // prettier-ignore
  const rows: { name: string; a: ReturnType<typeof t>; b: ReturnType<typeof t>; want: RegExp | undefined }[] = [
    { name: 'no difference for equal values', a: t('float32', Float32Array.of(1, NaN, Infinity)),
      b: t('float32', Float32Array.of(1, NaN, Infinity)), want: undefined },
    { name: 'no difference for another order of sums', a: t('float32', Float32Array.of(1000)),
      b: t('float32', Float32Array.of(1000.5)), want: undefined },
    { name: 'a wrong value', a: t('float32', Float32Array.of(1, 15.5)),
      b: t('float32', Float32Array.of(1, -943)), want: /'y' differs at element 1: -943 instead of 15\.5/ },
    { name: 'a value that became NaN', a: t('float32', Float32Array.of(1)),
      b: t('float32', Float32Array.of(NaN)), want: /NaN instead of 1/ },
    { name: 'a number in place of infinity', a: t('float32', Float32Array.of(Infinity)),
      b: t('float32', Float32Array.of(3)), want: /3 instead of Infinity/ },
    { name: 'an infinity of the other sign', a: t('float64', Float64Array.of(-Infinity)),
      b: t('float64', Float64Array.of(Infinity)), want: /Infinity instead of -Infinity/ },
    { name: 'infinity in place of a number', a: t('float32', Float32Array.of(3)),
      b: t('float32', Float32Array.of(Infinity)), want: /Infinity instead of 3/ },
    { name: 'a number in place of a float16 infinity', a: t('float16', Uint16Array.of(0x7c00)),
      b: t('float16', Uint16Array.of(0x3c00)), want: /1 instead of Infinity/ },
    { name: 'no difference for another NaN of float16', a: t('float16', Uint16Array.of(0x7e00)),
      b: t('float16', Uint16Array.of(0x7e01)), want: undefined },
    { name: 'an integer that is off by one', a: t('int64', BigInt64Array.of(5n)),
      b: t('int64', BigInt64Array.of(6n)), want: /6 instead of 5/ },
    { name: 'a float16 that differs', a: t('float16', Uint16Array.of(0x3c00)),
      b: t('float16', Uint16Array.of(0x4000)), want: /2 instead of 1/ },
    { name: 'no difference for float16 rounding', a: t('float16', Uint16Array.of(0x3c00)),
      b: t('float16', Uint16Array.of(0x3c01)), want: undefined },
    { name: 'text that differs', a: t('string', ['a']), b: t('string', ['b']), want: /b instead of a/ },
    { name: 'another shape', a: t('float32', new Float32Array(4), [2, 2]),
      b: t('float32', new Float32Array(4), [4]), want: /shape \[4\] instead of \[2,2\]/ },
    { name: 'another type', a: t('float32', new Float32Array(1)),
      b: t('int32', new Int32Array(1)), want: /is int32 instead of float32/ },
  ];
  for (const { name, a, b, want } of rows) {
    it(`finds ${name}`, () => {
      const difference = outputDifference(a, b);
      if (want === undefined) assert.equal(difference, undefined);
      else assert.match(difference ?? '', want);
    });
  }
  it('finds a missing output', () =>
    assert.match(outputDifference(t('bool', Uint8Array.of(1)), {}) ?? '', /'y' is missing/));
});

describe('planProviders', () => {
  const asked = (fallbackPolicy: 'Forbid' | 'Warn' | 'Allow', ...names: ProviderName[]) => ({
    fallbackPolicy,
    providers: names.map((name) => ({ name, options: {} })),
  });
  // prettier-ignore
  const rows: { name: string; asked: ReturnType<typeof asked>;
    missing?: ProviderName[]; want: readonly ProviderName[] }[] = [
    { name: 'the CPU', asked: asked('Forbid', 'CPU'), want: ['CPU'] },
    { name: 'only the first if fallback is forbidden', asked: asked('Forbid', 'CUDA', 'CPU'), want: ['CUDA'] },
    { name: 'all available ones, in order', asked: asked('Warn',
        'TensorRT', 'CUDA', 'CPU'), want: ['TensorRT', 'CUDA', 'CPU'] },
    { name: 'the others when one is missing', asked: asked('Warn', 'TensorRT', 'CUDA', 'CPU'),
      missing: ['TensorRT'], want: ['CUDA', 'CPU'] },
    { name: 'the CPU when all are missing', asked: asked('Allow', 'CUDA'), missing: ['CUDA'], want: ['CPU'] },
    { name: 'nothing after the CPU', asked: asked('Allow', 'CPU', 'CUDA'), want: ['CPU'] },
  ];
  for (const { name, asked: given, missing = [], want } of rows)
    it(`uses ${name}`, () => assert.deepEqual(planProviders(given, new Set(missing)).chain, want));

  it('tells ONNX Runtime not to fall back if fallback is forbidden', () => {
    assert.deepEqual(planProviders(asked('Forbid', 'CUDA'), new Set()).sessionConfig, {
      'session.disable_cpu_ep_fallback': '1',
    });
  });
  it('probes only the providers that matter', () => {
    assert.deepEqual(providersToProbe(asked('Forbid', 'CUDA', 'WebGPU')), ['CUDA']);
    assert.deepEqual(providersToProbe(asked('Warn', 'CUDA', 'WebGPU', 'CPU')), ['CUDA', 'WebGPU']);
  });
});

describe('providerShares', () => {
  const event = (provider: string, index: string, dur: number, name = `n${index}_kernel_time`) => ({
    cat: 'Node',
    name,
    dur,
    args: { provider, node_index: index },
  });

  it('sums nodes and time by provider; a node that ran twice counts once', () => {
    const events = [
      event('CUDAExecutionProvider', '0', 30),
      event('CUDAExecutionProvider', '0', 30),
      event('CUDAExecutionProvider', '1', 30),
      event('CPUExecutionProvider', '2', 10),
      { cat: 'Session', name: 'model_run', dur: 500 },
    ];
    assert.deepEqual(providerShares(JSON.stringify(events)), [
      { provider: 'CUDA', nodes: 2 / 3, time: 0.9 },
      { provider: 'CPU', nodes: 1 / 3, time: 0.1 },
    ]);
  });
  it('is empty for text that is not a profile', () => {
    for (const text of ['', '{}', '[null, 3, {"cat":"Node"}]', '[{"cat":"Node","name":"x_kernel_time","args":null}]'])
      assert.deepEqual(providerShares(text), []);
  });
});

describe('buildKey', () => {
  const parts: KeyParts = {
    digest: 'sha256:00',
    graph: 'model.onnx',
    memory: { arena: 'Auto' },
    limitBytes: undefined,
    execution: {
      providers: [{ name: 'CPU', options: {} }],
      fallbackPolicy: 'Forbid',
      precision: 'Source',
      graphOptimization: 'All',
      profile: 'Throughput',
      sessionConfig: { a: '1', b: '2' },
    },
  };
  // prettier-ignore
  const rows: { name: string; other: KeyParts; machine?: string; same: boolean }[] = [
    { name: 'equal for equal parts', other: structuredClone(parts), same: true },
    { name: 'equal for entries in another order',
      other: { ...parts, execution: { ...parts.execution, sessionConfig: { b: '2', a: '1' } } }, same: true },
    { name: 'equal for other numbers of workers', other: { ...parts,
        execution: { ...parts.execution, workers: 4, profile: 'Latency' } }, same: true },
    { name: 'different for another model', other: { ...parts, digest: 'sha256:01' }, same: false },
    { name: 'different for another file of it', other: { ...parts, graph: 'model.int8.onnx' }, same: false },
    { name: 'different for another level', other: { ...parts,
        execution: { ...parts.execution, graphOptimization: 'Basic' } }, same: false },
    { name: 'different for another entry', other: { ...parts,
        execution: { ...parts.execution, sessionConfig: { a: '1' } } }, same: false },
    { name: 'different for another CPU', other: parts, machine: 'other', same: false },
  ];
  for (const { name, other, machine = 'm', same } of rows)
    it(`is ${name}`, () => assert.equal(buildKey(other, machine) === buildKey(parts, 'm'), same));
});

describe('whyNotOptimise', () => {
  const given = {
    first: 'CPU' as ProviderName,
    weightsBytes: 100,
    fromBytes: 10,
    ran: true,
    peakBytes: 200,
    roomBytes: 1000 as number | undefined,
  };
  const rows: { name: string; change: Partial<typeof given>; want: { note?: RegExp } | undefined }[] = [
    { name: 'optimises a model that ran and has room', change: {}, want: undefined },
    { name: 'optimises without a memory limit', change: { roomBytes: undefined }, want: undefined },
    { name: 'does not optimise small models, without a note', change: { weightsBytes: 9 }, want: {} },
    { name: 'does not optimise models of another provider, without a note', change: { first: 'CUDA' }, want: {} },
    {
      name: 'notes that a form cannot be checked without a run',
      change: { ran: false },
      want: { note: /no run was possible/ },
    },
    {
      name: 'notes that memory is too small to write the form',
      change: { roomBytes: 299 },
      want: { note: /needs about 300 bytes, the memory limit leaves 299/ },
    },
  ];
  for (const { name, change, want } of rows) {
    it(name, () => {
      const got = whyNotOptimise({ ...given, ...change });
      assert.equal(got === undefined, want === undefined);
      if (want?.note === undefined) assert.equal(got?.note, undefined);
      else assert.match(got?.note ?? '', want.note);
    });
  }
});

describe('cpuFlags', () => {
  it('reads the flags of x86 and of Arm', () => {
    assert.deepEqual(cpuFlags('processor\t: 0\nflags\t\t: sse avx2\nflags: x\n'), ['avx2', 'sse']);
    assert.deepEqual(cpuFlags('Features\t: fp asimd\n'), ['asimd', 'fp']);
    assert.deepEqual(cpuFlags(''), []);
  });
});
