/** Editing a model keeps every part that it does not change, and does not copy the data of weights. */
import assert from 'node:assert/strict';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { modelBytes, modelProto, weight } from '../../../../runtime/onnx/build.ts';
import { decodeModel, encodeProto, maxMessageBytes } from '../../../../runtime/onnx/encode.ts';
import { inspectBytes } from '../../../../runtime/onnx/inspect.ts';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
  type ModelProto,
} from '../../../../runtime/onnx/proto/onnx_pb.ts';
import { WireError } from '../../../../runtime/onnx/wire.ts';
import { heavy, matmul } from '../../../support/onnx-models.ts';

const values = new Float32Array(2000).map((_, at) => at);
const large = (): ModelProto =>
  modelProto({ ...matmul(), graph: { ...matmul().graph, weights: [weight('W', 'float32', [2000], values)] } });
const joined = (model: ModelProto): Buffer => Buffer.concat(encodeProto(model));

describe('encodeProto', () => {
  it('writes what the library would write, in another order', () => {
    for (const model of [large(), modelProto(heavy(3)), modelProto(matmul())])
      assert.deepEqual(decodeModel(joined(model)), decodeModel(toBinary(ModelProtoSchema, model)));
  });

  it('does not copy the data of weights', () => {
    assert.ok(encodeProto(large()).some((part) => part.buffer === values.buffer));
  });

  it('writes a model without a graph', () => {
    assert.deepEqual(joined(create(ModelProtoSchema, { irVersion: 8n })), Buffer.from([8, 8]));
  });

  it('refuses to reach 2 GiB', () => {
    const rawData = new Uint8Array(new ArrayBuffer(2 ** 30));
    const half = create(TensorProtoSchema, { rawData });
    const graph = create(GraphProtoSchema, { initializer: [half, half] });
    assert.throws(() => encodeProto(create(ModelProtoSchema, { graph })), /under 2 GiB/);
    assert.equal(maxMessageBytes, 2 ** 31 - 1);
  });
});

describe('decodeModel', () => {
  it('gives views into the bytes that it was given', () => {
    const bytes = joined(large());
    const [tensor] = decodeModel(bytes).graph?.initializer ?? [];
    assert.equal(tensor?.rawData.buffer, bytes.buffer);
    assert.deepEqual(new Float32Array(tensor?.rawData.slice().buffer), values);
  });

  it('keeps fields that onnx.proto does not have: of the model, the graph and a weight', () => {
    const model = large();
    const data = new BinaryWriter().string('from the future').finish();
    const field = { no: 5000, wireType: WireType.LengthDelimited, data };
    const [tensor] = model.graph!.initializer;
    for (const message of [model, model.graph!, tensor!]) message.$unknown = [field];
    const again = decodeModel(joined(decodeModel(joined(model))));
    for (const message of [again, again.graph!, again.graph!.initializer[0]!])
      assert.deepEqual(message.$unknown, [{ ...field, data }]);
  });

  it('keeps external data: places, and entries that other writers add', () => {
    const data = { location: 'w.bin', offset: 4096, length: 8, entries: { checksum: 'abc' } };
    const external = { name: 'W', type: 'float32', dims: [2], data } as const;
    const bytes = modelBytes({ ...matmul(), graph: { ...matmul().graph, weights: [external] } });
    const model = decodeModel(bytes);
    model.docString = 'edited';
    const [tensor] = decodeModel(joined(model)).graph?.initializer ?? [];
    assert.deepEqual(
      tensor?.externalData.map(({ key, value }) => [key, value]),
      [
        ['location', 'w.bin'],
        ['offset', '4096'],
        ['length', '8'],
        ['checksum', 'abc'],
      ],
    );
  });

  it('edits one node and leaves the rest', () => {
    const model = decodeModel(modelBytes(heavy(3)));
    const before = inspectBytes(joined(model));
    model.graph!.name = 'another';
    assert.deepEqual(inspectBytes(joined(model)), {
      ...before,
      graphName: 'another',
      fileBytes: before.fileBytes + 'another'.length - before.graphName.length,
    });
  });

  // prettier-ignore
  const refused: readonly { readonly name: string; readonly bytes: () => Uint8Array; readonly want: RegExp }[] = [
    { name: 'bytes that are cut off', bytes: () => modelBytes(matmul()).subarray(0, -3), want: /cut off/ },
    { name: 'graphs nested without end', bytes: () => nested(100), want: /nested more than 64 deep/ },
    { name: 'thousands of empty nodes', want: /more protobuf fields than the limit/,
      bytes: () => graphOf(new Uint8Array(2000).map((_, at) => (at % 2 === 0 ? 0x0a : 0))) },
    { name: 'thousands of packed numbers', want: /lists of numbers have more than 1000 bytes/,
      bytes: () => graphOf(field(5, field(1, new Uint8Array(1001)))) },
  ];
  for (const { name, bytes, want } of refused)
    it(`refuses ${name}`, () =>
      assert.throws(
        () => decodeModel(bytes(), 1000),
        (error) => error instanceof WireError && want.test(error.message),
      ));

  it('answers any damage with a model or a WireError', () => {
    const good = modelBytes(heavy(2));
    const edit = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 6 }), fc.nat(good.length), (edits, end) => {
        const bytes = Uint8Array.from(good.subarray(0, end));
        for (const [at, value] of edits) if (at < end) bytes[at] = value;
        try {
          decodeModel(bytes);
        } catch (error) {
          assert.ok(error instanceof WireError, String(error));
        }
      }),
      { numRuns: 2000, seed: 1 },
    );
  });
});

function field(number: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(bytes.length).finish(), bytes]);
}

function graphOf(bytes: Uint8Array): Uint8Array {
  return field(7, bytes);
}

/**
 * A model with nested graphs. Each level adds three nested messages: a node, its attribute, and the graph in the
 * attribute.
 */
function nested(levels: number): Uint8Array {
  let graph: Uint8Array = new Uint8Array(0);
  for (let level = 0; level < levels; level += 1) graph = field(1, field(5, field(6, graph)));
  return graphOf(graph);
}
