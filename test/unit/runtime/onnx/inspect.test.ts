/** What inspection reports about a model, what it refuses, and that it survives arbitrary bytes. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { AppError } from '../../../../api/errors.ts';
import {
  encodeModel,
  modelBytes,
  modelProto,
  weight,
  type Model,
  type ValueSpec,
} from '../../../../runtime/onnx/build.ts';
import { encodeProto } from '../../../../runtime/onnx/encode.ts';
import { inspectBytes, inspectModel } from '../../../../runtime/onnx/inspect.ts';
import { readModel } from '../../../../runtime/onnx/read-model.ts';
import { WireReader } from '../../../../runtime/onnx/wire.ts';
import {
  add,
  identity,
  int4Output,
  matmul,
  tensorAndSequence,
  writeModel,
  zipMapOutput,
} from '../../../support/onnx-models.ts';

type Change = Partial<Model> & { readonly outputs?: readonly ValueSpec[]; readonly inputs?: readonly ValueSpec[] };

function changed({ inputs, outputs, ...change }: Change): Model {
  const base = matmul();
  return {
    ...base,
    ...change,
    graph: {
      ...base.graph,
      ...change.graph,
      ...(inputs === undefined ? {} : { inputs }),
      ...(outputs === undefined ? {} : { outputs }),
    },
  };
}

function problemOf(bytes: Uint8Array): string {
  try {
    inspectBytes(bytes, 'm.onnx');
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === 'MODEL_INVALID', String(error));
    return error.message;
  }
  throw new assert.AssertionError({ message: 'it was not refused' });
}

describe('inspectBytes', () => {
  it('reports versions, producer, metadata and size', () => {
    const info = inspectBytes(modelBytes(add()));
    assert.deepEqual(
      {
        ir: info.irVersion,
        opset: info.opset,
        producer: info.producer,
        metadata: info.metadata,
        graph: info.graphName,
        bytes: info.fileBytes,
      },
      {
        ir: 8,
        opset: 17,
        producer: { name: 'onnx-models', version: '1' },
        metadata: { purpose: 'tests' },
        graph: 'add',
        bytes: modelBytes(add()).length,
      },
    );
  });

  it('reports inputs and outputs with the names of free dimensions', () => {
    const info = inspectBytes(modelBytes(matmul()));
    assert.deepEqual(info.inputs, [{ name: 'x', type: 'float32', dims: ['batch', 4] }]);
    assert.deepEqual(info.outputs, [{ name: 'y', type: 'float32', dims: ['batch', 2] }]);
  });

  it('distinguishes a scalar from an unknown rank', () => {
    const info = inspectBytes(
      modelBytes(
        changed({
          inputs: [
            { name: 'x', type: 'float32' },
            { name: 's', type: 'int64', shape: [] },
          ],
        }),
      ),
    );
    assert.deepEqual(info.inputs, [
      { name: 'x', type: 'float32' },
      { name: 's', type: 'int64', dims: [] },
    ]);
  });

  it("reports a free dimension without a name as ''", () => {
    const info = inspectBytes(modelBytes(changed({ inputs: [{ name: 'x', type: 'float32', shape: ['', 4] }] })));
    assert.deepEqual(info.inputs[0]?.dims, ['', 4]);
  });

  it('omits inputs whose value is given by a weight', () => {
    const info = inspectBytes(
      modelBytes(
        changed({
          inputs: [
            { name: 'x', type: 'float32', shape: ['batch', 4] },
            { name: 'W', type: 'float32', shape: [4, 2] },
          ],
        }),
      ),
    );
    assert.deepEqual(
      info.inputs.map(({ name }) => name),
      ['x'],
    );
  });

  it('counts weights in initializers, Constant nodes and subgraphs', () => {
    const constant = (name: string, count: number) => ({
      op: 'Constant',
      inputs: [],
      outputs: [name],
      attributes: { value: { tensor: weight('', 'float32', [count], new Float32Array(count)) } },
    });
    const branch = {
      name: 'branch',
      nodes: [constant('c', 10)],
      inputs: [],
      outputs: [{ name: 'c', type: 'float32' as const }],
      weights: [weight('inner', 'int64', [3], new BigInt64Array(3))],
    };
    const model = matmul();
    const nodes = [
      ...model.graph.nodes,
      constant('k', 5),
      { op: 'If', inputs: ['x'], outputs: ['z'], attributes: { then_branch: { graph: branch } } },
    ];
    const info = inspectBytes(modelBytes({ ...model, graph: { ...model.graph, nodes } }));
    assert.deepEqual(
      { nodes: info.nodes, operators: info.operators, bytes: info.weightsBytes },
      { nodes: 4, operators: { MatMul: 1, Constant: 2, If: 1 }, bytes: 32 + 20 + 40 + 24 },
    );
  });

  it('prefixes operators of other domains with their domain', () => {
    const model = tensorAndSequence();
    const info = inspectBytes(
      modelBytes({
        ...model,
        graph: {
          ...model.graph,
          nodes: [{ op: 'Gelu', domain: 'com.microsoft', inputs: ['x'], outputs: ['doubled'] }],
        },
      }),
    );
    assert.deepEqual(info.operators, { 'com.microsoft.Gelu': 1 });
  });

  it('accepts a model with a sequence output, for its other outputs', () => {
    const info = inspectBytes(modelBytes(tensorAndSequence()));
    assert.deepEqual(
      { outputs: info.outputs.map(({ name }) => name), other: info.otherOutputs },
      { outputs: ['doubled'], other: [{ name: 'parts', kind: 'sequence' }] },
    );
  });

  it('omits a metadata value longer than 64 KiB', () => {
    const info = inspectBytes(modelBytes(changed({ metadata: { long: 'x'.repeat(70_000), short: 'y' } })));
    assert.deepEqual(info.metadata, { short: 'y' });
  });

  it('accepts every element type that the binding carries', () => {
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
      assert.equal(inspectBytes(modelBytes(identity(type))).inputs[0]?.type, type);
    }
  });
});

describe('inspectBytes refuses', () => {
  const good = modelBytes(matmul());
  // prettier-ignore
  const rows: { name: string; bytes: Uint8Array; want: RegExp }[] = [
    { name: 'an int4 output, which would crash the process',
      bytes: modelBytes(int4Output()), want: /output 'q' is of type int4/ },
    { name: 'an IR version that the engine does not support', bytes: modelBytes({ ...identity(), irVersion: 99 }),
      want:
        new RegExp(String.raw`its IR version is 99, but ONNX Runtime 1\.30 supports at most 13: export it with an ` +
          'older version of the onnx package') },
    { name: 'an operator set that the engine does not support', bytes: modelBytes({ ...identity(), opset: 99 }),
      want:
        new RegExp(String.raw`version 99 of the operator set ai\.onnx, but ONNX Runtime 1\.30 supports at most 26: ` +
          'export it with an older operator set') },
    { name: 'a bfloat16 input', bytes: modelBytes(identity('bfloat16')), want: /input 'x' is of type bfloat16/ },
    { name: 'a float8 output', bytes: modelBytes(
        changed({ outputs: [{ name: 'y', type: 'float8e4m3fn',
        shape: [1] }] })), want: /output 'y' is of type float8e4m3fn/ },
    { name: 'a model whose outputs are not tensors', bytes: modelBytes(zipMapOutput()),
      want: /none of its outputs is a tensor \('scores' is a sequence\).*zipmap=False/ },
    { name: 'a sequence as input', bytes: modelBytes(
        changed({ inputs: [{ name: 'x', sequenceOf: 'float32' }] })), want: /input 'x' is a sequence/ },
    { name: 'a map as input', bytes: modelBytes(
        changed({ inputs: [{ name: 'x', mapOf: { key: 'string', value: 'float32' } }] })), want: /input 'x' is a map/ },
    { name: 'a graph without outputs', bytes: modelBytes(changed({ outputs: [] })), want: /its graph has no outputs/ },
    { name: 'an empty file', bytes: new Uint8Array(0), want: /the file is empty/ },
    { name: 'a file that is cut off', bytes: good.subarray(0, good.length - 20), want: /cut off/ },
    { name: 'a Git LFS pointer', bytes: Buffer.from(
        'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n'), want: /Git LFS pointer/ },
    { name: 'a web page', bytes: Buffer.from('<!DOCTYPE html><html></html>'), want: /web page/ },
    { name: 'a zip archive', bytes: Buffer.from('PK\x03\x04rest of it'), want: /zip archive/ },
    { name: 'a model in .ort format', bytes: Buffer.from('\x20\0\0\0ORTM and so on'), want: /\.ort format/ },
    { name: 'protobuf that is not a model', bytes: Uint8Array.of(0x08, 0x08), want: /no graph/ },
    { name: 'a file without operator sets', bytes: withoutOpsets(), want: /does not declare an operator set/ },
    { name: 'external data at an absolute path', bytes: external('/etc/passwd'), want: /outside its folder/ },
    { name: 'external data above the folder', bytes: external('a/../../x.bin'), want: /outside its folder/ },
    { name: 'external data behind a backslash', bytes: external('..\\x.bin'), want: /outside its folder/ },
    { name: 'external data without a location', bytes: external(''), want: /outside its folder/ },
    { name: 'a weight with fewer bytes than its shape needs', bytes: modelBytes(shortWeight()),
      want: /'W' has 8 bytes, but its shape needs 32/ },
  ];
  for (const { name, bytes, want } of rows) it(name, () => assert.match(problemOf(bytes), want));

  it('endlessly nested subgraphs', () => {
    let graph = matmul().graph;
    for (let depth = 0; depth < 20; depth += 1)
      graph = { ...graph, nodes: [{ op: 'If', inputs: [], outputs: [], attributes: { then_branch: { graph } } }] };
    assert.match(problemOf(modelBytes({ ...matmul(), graph })), /nested more than 16 deep/);
  });
});

function withoutOpsets(): Uint8Array {
  const model = modelProto(matmul());
  model.opsetImport = [];
  return Buffer.concat(encodeProto(model));
}

function external(location: string, length = 32): Uint8Array {
  return modelBytes(externalModel(location, length));
}

function externalModel(location: string, length = 32): Model {
  const model = matmul();
  return {
    ...model,
    graph: {
      ...model.graph,
      weights: [{ name: 'W', type: 'float32', dims: [4, 2], data: { location, offset: 0, length } }],
    },
  };
}

function shortWeight(): Model {
  const model = matmul();
  return { ...model, graph: { ...model.graph, weights: [weight('W', 'float32', [4, 2], new Float32Array(2))] } };
}

describe('inspectModel', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'inspect-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  const invalid = (want: RegExp) => (error: unknown) =>
    error instanceof AppError && error.code === 'MODEL_INVALID' && want.test(error.message);

  it('reports the same for a file as for memory', async () => {
    const path = await writeModel(folder, add());
    assert.deepEqual(await inspectModel(path), inspectBytes(modelBytes(add())));
  });

  it('lists the files with external weights', async () => {
    await writeFile(join(folder, 'weights.bin'), new Uint8Array(32));
    const { externalFiles } = await inspectModel(
      await writeModel(folder, externalModel('weights.bin'), 'external.onnx'),
    );
    assert.deepEqual(externalFiles, [{ path: 'weights.bin', bytes: 32, aligned: true }]);
  });

  // prettier-ignore
  const placed: { name: string; data: { offset: number; entries?: Record<string, string> }; want: boolean }[] = [
    { name: 'aligned at multiples of 64', data: { offset: 128 }, want: true },
    { name: 'unaligned at other offsets', data: { offset: 32 }, want: false },
    { name: 'unaligned when a weight packed for a kernel is',
      data: { offset: 0, entries: { prepacked_0: 'MatMul+15369080751505971080|6898848;176640;0' } }, want: false },
    { name: 'aligned with an aligned weight packed for a kernel',
      data: { offset: 0, entries: { prepacked_0: 'MatMul+15369080751505971080|6351616;176640;0' } }, want: true },
  ];
  for (const { name, data, want } of placed) {
    it(`calls external weights ${name}`, () => {
      const made: Model = {
        ...matmul(),
        graph: {
          ...matmul().graph,
          weights: [{ name: 'W', type: 'float32', dims: [4, 2], data: { location: 'w.bin', length: 32, ...data } }],
        },
      };
      assert.deepEqual(
        inspectBytes(modelBytes(made)).externalFiles.map(({ aligned }) => aligned),
        [want],
      );
    });
  }

  it('refuses a model whose external data is missing', async () => {
    const path = await writeModel(folder, externalModel('gone.bin'), 'gone.onnx');
    await assert.rejects(inspectModel(path), invalid(/gone\.onnx .*'gone\.bin' is missing/));
  });

  it('refuses external data that was cut off', async () => {
    await writeFile(join(folder, 'short.bin'), new Uint8Array(31));
    await assert.rejects(
      inspectModel(await writeModel(folder, externalModel('short.bin'), 'short.onnx')),
      invalid(/has 31 bytes, 32 are needed/),
    );
  });

  it('refuses external data behind a link that leads out of the folder', async () => {
    await mkdir(join(folder, 'inner'), { recursive: true });
    await writeFile(join(folder, 'secret.bin'), new Uint8Array(32));
    await symlink('../secret.bin', join(folder, 'inner', 'link.bin'));
    const path = await writeModel(join(folder, 'inner'), externalModel('link.bin'));
    await assert.rejects(inspectModel(path), invalid(/a symbolic link to a place outside/));
    for (const root of [folder, '/']) assert.equal((await inspectModel(path, { root })).externalFiles.length, 1);
  });

  it('names the file that cannot be opened', async () => {
    await assert.rejects(
      inspectModel(join(folder, 'nothing.onnx')),
      (error: unknown) => error instanceof AppError && error.code === 'FILE_UNREADABLE',
    );
    await assert.rejects(
      inspectModel(folder),
      (error: unknown) => error instanceof AppError && error.code === 'FILE_UNREADABLE',
    );
  });

  it('reads only a small part of a file of four gigabytes', async () => {
    // Write a weight of 1 GiB as a hole of a sparse file, which has the size but takes no space on disk.
    const path = join(folder, 'large.onnx');
    const gib = 2 ** 30;
    const [head, tail] = splitAround(gib);
    await writeFile(path, head);
    await truncate(path, head.length + gib);
    await writeFile(path, tail, { flag: 'a' });
    // Append three unknown fields of 1 GiB each. Inspection skips them by their length.
    for (let index = 0; index < 3; index += 1) {
      await writeFile(path, fieldHead(200, gib), { flag: 'a' });
      await truncate(path, (await import('node:fs')).statSync(path).size + gib);
    }
    const info = await inspectModel(path);
    assert.deepEqual({ weights: info.weightsBytes, large: info.fileBytes > 4 * gib }, { weights: gib, large: true });
  });

  it('returns or refuses for any bytes, and reads at most a multiple of their length', () => {
    const real = modelBytes({
      ...add(),
      graph: { ...matmul().graph, weights: [weight('W', 'float32', [4, 2], new Float32Array(8))] },
    });
    const damaged = fc
      .array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
      .map((edits) => {
        const bytes = Uint8Array.from(real);
        for (const [at, value] of edits) bytes[at] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 2000 }), damaged), (bytes) => {
        let read = 0;
        const source = {
          sizeBytes: bytes.length,
          readInto: (target: Uint8Array, at: number) => {
            read += target.length;
            target.set(bytes.subarray(at, at + target.length));
          },
        };
        try {
          readModel(new WireReader(source));
        } catch (error) {
          assert.equal((error as Error).name, 'WireError');
        }
        assert.ok(read <= bytes.length + 16 * 1024, `read ${read} of ${bytes.length}`);
        try {
          inspectBytes(bytes);
        } catch (error) {
          assert.ok(error instanceof AppError && error.code === 'MODEL_INVALID', String(error));
        }
      }),
      { numRuns: 3000, seed: 1 },
    );
  });
});

describe('WireReader', () => {
  const reader = (bytes: number[], maxFields?: number) =>
    new WireReader(
      { sizeBytes: bytes.length, readInto: (target, at) => target.set(bytes.slice(at, at + target.length)) },
      maxFields,
    );
  // prettier-ignore
  const rows: { name: string; bytes: number[]; want: RegExp }[] = [
    { name: 'a length of 2^64 - 1', bytes: [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0x01], want: /cut off: 18446744073709551615 bytes/ },
    { name: 'a number of eleven bytes', bytes: [0x08,
        ...Array.from({ length: 10 }, () => 0xff), 0x01], want: /more than ten bytes/ },
    { name: 'a group', bytes: [0x0b, 0x0c], want: /an unknown wire type/ },
    { name: 'field number 0', bytes: [0x02, 0x00], want: /byte 0 does not begin a protobuf field/ },
    { name: 'a number that is cut off', bytes: [0x08, 0x80], want: /cut off in the number/ },
  ];
  for (const { name, bytes, want } of rows)
    it(`refuses ${name}`, () => assert.throws(() => [...reader(bytes).fields({ start: 0, end: bytes.length })], want));

  it('stops at more fields than the limit', () => {
    const bytes = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? 0x08 : 0x01));
    assert.throws(() => [...reader(bytes, 10).fields({ start: 0, end: 40 })], /more protobuf fields/);
  });

  it("refuses to copy more than the caller's limit", () => {
    assert.throws(() => reader([1, 2, 3]).bytes({ start: 0, end: 3 }, 2), /more than the limit of 2/);
  });

  it('refuses text that is not UTF-8', () => {
    assert.throws(() => reader([0xff, 0xfe]).text({ start: 0, end: 2 }, 10), /not UTF-8/);
  });
});

/** The bytes before and after the zeros of a model with one weight of `bytes` zeros. */
function splitAround(bytes: number): [Uint8Array, Uint8Array] {
  // encodeModel returns large data as a separate part and does not read it, so the array takes no memory.
  const data = new Uint8Array(new ArrayBuffer(bytes));
  const parts = encodeModel({
    ...matmul(),
    graph: { ...matmul().graph, weights: [{ name: 'W', type: 'uint8', dims: [bytes], data }] },
  });
  const at = parts.findIndex((part) => part.length === bytes);
  return [Buffer.concat(parts.slice(0, at)), Buffer.concat(parts.slice(at + 1))];
}

function fieldHead(number: number, length: number): Uint8Array {
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
  return Uint8Array.from([...varint(number * 8 + 2), ...varint(length)]);
}
