/** The pure parts of trying a model: made-up inputs, comparison, providers, profiles, the key of a build. */
import assert from 'node:assert/strict';
import type { ProviderName } from '../../../../../api/choices.ts';
import { whyNotOptimise } from '../../../../../runtime/prepare/optimise/build-cache.ts';
import { buildKey, cpuFlags, type KeyParts } from '../../../../../runtime/prepare/optimise/build-key.ts';
import { differenceOf } from '../../../../../runtime/prepare/optimise/compare-outputs.ts';
import { providerShares } from '../../../../../runtime/prepare/optimise/profile.ts';
import { planProviders, providersToProbe } from '../../../../../runtime/engine/providers.ts';
import type { TensorSpec } from '../../../../../runtime/engine/signature.ts';
import { makeTensor, type ArrayOf, type TensorType } from '../../../../../runtime/engine/tensor.ts';
import { trialInputs } from '../../../../../runtime/engine/trial-inputs.ts';

describe('trialInputs', () => {
  const one = (spec: TensorSpec, sample = { fill: 8, rows: 2, seed: 1 }) => trialInputs([spec], sample)?.[spec.name];

  it('takes the first free dimension for the batch and fills the others', () => {
    assert.deepEqual(one({ name: 'x', type: 'float32', dims: ['N', 3, 'length', 'batch_size'] })?.dims, [2, 3, 8, 2]);
  });
  it('keeps fixed dimensions', () => assert.deepEqual(one({ name: 'x', type: 'float32', dims: [1, 4] })?.dims, [1, 4]));
  it('makes a scalar of no dimensions', () =>
    assert.equal(one({ name: 'x', type: 'int64', dims: [] })?.data.length, 1));
  it('makes a row of an unknown rank', () => assert.deepEqual(one({ name: 'x', type: 'float32' })?.dims, [2, 8]));
  it('fills masks with ones', () =>
    assert.deepEqual(
      [...(one({ name: 'attention_mask', type: 'int64', dims: ['N', 2] })?.data ?? [])],
      [1n, 1n, 1n, 1n],
    ));
  it('gives the same values for the same seed only', () => {
    const spec: TensorSpec = { name: 'x', type: 'float32', dims: [4] };
    assert.deepEqual(one(spec), one(spec));
    assert.notDeepEqual(one(spec), one(spec, { fill: 8, rows: 2, seed: 2 }));
  });
  it('makes nothing that is too large', () =>
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
    it(`makes mild values of ${type}`, () => {
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
    { name: 'nothing for equal values', a: t('float32', Float32Array.of(1, NaN, Infinity)),
      b: t('float32', Float32Array.of(1, NaN, Infinity)), want: undefined },
    { name: 'nothing for another order of sums', a: t('float32', Float32Array.of(1000)),
      b: t('float32', Float32Array.of(1000.5)), want: undefined },
    { name: 'a wrong value', a: t('float32', Float32Array.of(1, 15.5)),
      b: t('float32', Float32Array.of(1, -943)), want: /'y' differs at element 1: -943 instead of 15\.5/ },
    { name: 'a value that became NaN', a: t('float32', Float32Array.of(1)),
      b: t('float32', Float32Array.of(NaN)), want: /NaN instead of 1/ },
    { name: 'a whole number that is off by one', a: t('int64', BigInt64Array.of(5n)),
      b: t('int64', BigInt64Array.of(6n)), want: /6 instead of 5/ },
    { name: 'a half that differs', a: t('float16', Uint16Array.of(0x3c00)),
      b: t('float16', Uint16Array.of(0x4000)), want: /2 instead of 1/ },
    { name: 'nothing for halves that round', a: t('float16', Uint16Array.of(0x3c00)),
      b: t('float16', Uint16Array.of(0x3c01)), want: undefined },
    { name: 'text that differs', a: t('string', ['a']), b: t('string', ['b']), want: /b instead of a/ },
    { name: 'another shape', a: t('float32', new Float32Array(4), [2, 2]),
      b: t('float32', new Float32Array(4), [4]), want: /shape \[4\] instead of \[2,2\]/ },
    { name: 'another type', a: t('float32', new Float32Array(1)),
      b: t('int32', new Int32Array(1)), want: /is int32 instead of float32/ },
  ];
  for (const { name, a, b, want } of rows) {
    it(`tells ${name}`, () => {
      const difference = differenceOf(a, b);
      if (want === undefined) assert.equal(difference, undefined);
      else assert.match(difference ?? '', want);
    });
  }
  it('tells an output that is missing', () =>
    assert.match(differenceOf(t('bool', Uint8Array.of(1)), {}) ?? '', /'y' is missing/));
});

describe('planProviders', () => {
  const asked = (fallbackPolicy: 'Forbid' | 'Warn' | 'Allow', ...names: ProviderName[]) => ({
    fallbackPolicy,
    providers: names.map((name) => ({ name, options: {} })),
  });
  // prettier-ignore
  const rows: { name: string; asked: ReturnType<typeof asked>;
    missing?: ProviderName[]; want: readonly ProviderName[] }[] = [
    { name: 'the CPU alone', asked: asked('Forbid', 'CPU'), want: ['CPU'] },
    { name: 'the first alone where others are forbidden', asked: asked('Forbid', 'CUDA', 'CPU'), want: ['CUDA'] },
    { name: 'all that are here, in order', asked: asked('Warn',
        'TensorRT', 'CUDA', 'CPU'), want: ['TensorRT', 'CUDA', 'CPU'] },
    { name: 'what is left when one is missing', asked: asked('Warn', 'TensorRT', 'CUDA', 'CPU'),
      missing: ['TensorRT'], want: ['CUDA', 'CPU'] },
    { name: 'the CPU when all are missing', asked: asked('Allow', 'CUDA'), missing: ['CUDA'], want: ['CPU'] },
    { name: 'nothing behind the CPU', asked: asked('Allow', 'CPU', 'CUDA'), want: ['CPU'] },
  ];
  for (const { name, asked: given, missing = [], want } of rows)
    it(`takes ${name}`, () => assert.deepEqual(planProviders(given, new Set(missing)).chain, want));

  it('tells ONNX Runtime not to fall back where that is forbidden', () => {
    assert.deepEqual(planProviders(asked('Forbid', 'CUDA'), new Set()).sessionConfig, {
      'session.disable_cpu_ep_fallback': '1',
    });
  });
  it('probes only those that matter', () => {
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

  it('adds nodes and time by provider, a node that ran twice once', () => {
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
  it('is empty for what is no profile', () => {
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
    { name: 'the same for the same', other: structuredClone(parts), same: true },
    { name: 'the same for entries in another order',
      other: { ...parts, execution: { ...parts.execution, sessionConfig: { b: '2', a: '1' } } }, same: true },
    { name: 'the same for other workers', other: { ...parts,
        execution: { ...parts.execution, workers: 4, profile: 'Latency' } }, same: true },
    { name: 'another for another model', other: { ...parts, digest: 'sha256:01' }, same: false },
    { name: 'another for another file of it', other: { ...parts, graph: 'model.int8.onnx' }, same: false },
    { name: 'another for another level', other: { ...parts,
        execution: { ...parts.execution, graphOptimization: 'Basic' } }, same: false },
    { name: 'another for another entry', other: { ...parts,
        execution: { ...parts.execution, sessionConfig: { a: '1' } } }, same: false },
    { name: 'another for another CPU', other: parts, machine: 'other', same: false },
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
    { name: 'optimises what ran and has room', change: {}, want: undefined },
    { name: 'optimises without a memory limit', change: { roomBytes: undefined }, want: undefined },
    { name: 'leaves small models as they are, without a word', change: { weightsBytes: 9 }, want: {} },
    { name: 'leaves models of another provider as they are, without a word', change: { first: 'CUDA' }, want: {} },
    { name: 'says that what did not run cannot be checked', change: { ran: false }, want: { note: /without a run/ } },
    {
      name: 'says that memory is too small to write it',
      change: { roomBytes: 299 },
      want: { note: /takes about 300 bytes, the memory limit leaves 299/ },
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
  it('reads those of x86 and of Arm', () => {
    assert.deepEqual(cpuFlags('processor\t: 0\nflags\t\t: sse avx2\nflags: x\n'), ['avx2', 'sse']);
    assert.deepEqual(cpuFlags('Features\t: fp asimd\n'), ['asimd', 'fp']);
    assert.deepEqual(cpuFlags(''), []);
  });
});
