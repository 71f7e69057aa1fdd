/** The form of infer responses, and that decodeInfer can read their outputs back as inputs. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { makeTensor, type Tensor, type TensorType } from '../../../../../runtime/engine/tensor.ts';
import { datatypeOf } from '../../../../../runtime/protocol/oip/datatypes.ts';
import { decodeInfer, defaultDecodeLimits } from '../../../../../runtime/protocol/oip/decode.ts';
import { encodeInfer } from '../../../../../runtime/protocol/oip/encode.ts';
import { decodeRaw } from '../../../../../runtime/protocol/oip/raw.ts';

const encode = (tensor: Tensor, binary = false) =>
  encodeInfer({ model: 'm', version: '1', id: 'a"b', outputs: [{ name: 'y', tensor, binary }] });
const f32 = (...values: number[]): Tensor => makeTensor('float32', [values.length], Float32Array.from(values));

describe('encodeInfer', () => {
  it("writes the protocol's fields", () => {
    assert.deepEqual(JSON.parse(encode(f32(0.5, -2)).json), {
      model_name: 'm',
      model_version: '1',
      id: 'a"b',
      outputs: [{ name: 'y', datatype: 'FP32', shape: [2], data: [0.5, -2] }],
    });
  });

  it('omits the id if the request does not have an id', () => {
    assert.equal('id' in (JSON.parse(encodeInfer({ model: 'm', version: '1', outputs: [] }).json) as object), false);
  });

  it('writes wide integers with all digits', () =>
    assert.match(
      encode(makeTensor('int64', [1], BigInt64Array.of(2n ** 63n - 1n))).json,
      /"data":\[9223372036854775807\]/,
    ));
  it('writes booleans as booleans', () =>
    assert.match(encode(makeTensor('bool', [2], Uint8Array.of(1, 0))).json, /"data":\[true,false\]/));
  it('writes long lists like short ones', () => {
    const values = Array.from({ length: 1500 }, (_, index) => index / 4);
    assert.deepEqual(
      (JSON.parse(encode(f32(...values)).json) as { outputs: { data: number[] }[] }).outputs[0]?.data,
      values,
    );
  });

  for (const value of [NaN, Infinity, -Infinity])
    it(`refuses ${value} in JSON, with advice`, () =>
      assert.throws(() => encode(f32(1, value)), /output 'y': element 1 is .*request binary data/));
  it('carries non-finite numbers in binary', () => assert.equal(encode(f32(NaN), true).blobs?.[0]?.length, 4));
  it('refuses FP16 in JSON', () =>
    assert.throws(() => encode(makeTensor('float16', [1], Uint16Array.of(1))), /FP16, which JSON cannot express/));

  const types: readonly TensorType[] = [
    'bool',
    'uint8',
    'uint16',
    'uint32',
    'uint64',
    'int8',
    'int16',
    'int32',
    'int64',
    'float16',
    'float32',
    'float64',
    'string',
  ];
  const anyTensor = fc.constantFrom(...types).chain((type) => {
    const finite = { noNaN: true, noDefaultInfinity: true };
    const values = {
      bool: fc.uint8Array({ max: 1, maxLength: 9 }),
      uint8: fc.uint8Array({ maxLength: 9 }),
      uint16: fc.uint16Array({ maxLength: 9 }),
      uint32: fc.uint32Array({ maxLength: 9 }),
      uint64: fc.bigUint64Array({ maxLength: 9 }),
      int8: fc.int8Array({ maxLength: 9 }),
      int16: fc.int16Array({ maxLength: 9 }),
      int32: fc.int32Array({ maxLength: 9 }),
      int64: fc.bigInt64Array({ maxLength: 9 }),
      float16: fc.uint16Array({ maxLength: 9 }),
      float32: fc.float32Array({ maxLength: 9, ...finite }),
      float64: fc.float64Array({ maxLength: 9, ...finite }),
      string: fc.array(fc.string({ unit: 'grapheme', maxLength: 8 }), { maxLength: 9 }),
    } as const;
    return (values[type] as fc.Arbitrary<Uint8Array>).map((data) => makeTensor(type, [data.length], data));
  });

  /** Encodes a tensor as an output, renames the outputs to inputs, and decodes the body. */
  const echo = (tensor: Tensor, binary: boolean): Tensor | undefined => {
    const { json, blobs = [] } = encode(tensor, binary);
    const head = json
      .replace('"outputs"', '"inputs"')
      .replace(/"data":\[(.*)\]/s, (whole) =>
        tensor.type === 'int64' || tensor.type === 'uint64'
          ? whole.replace(/-?\d+/g, (digits) => `"${digits}"`)
          : whole,
      );
    const body = new Uint8Array(Buffer.concat([Buffer.from(head), ...blobs]));
    return decodeInfer(body, Buffer.byteLength(head), defaultDecodeLimits).inputs['y'];
  };

  it('reads back exactly what it wrote in binary', () => {
    fc.assert(fc.property(anyTensor, (tensor) => assert.deepEqual(echo(tensor, true), tensor)));
  });

  it('reads back what it wrote in JSON', () => {
    fc.assert(
      fc.property(
        anyTensor.filter(({ type }) => type !== 'float16'),
        (tensor) => {
          const back = echo(tensor, false);
          // JSON.stringify prints -0 as 0.
          const plain = (data: Tensor['data'] | undefined): unknown[] =>
            Array.from<unknown, unknown>(data ?? [], (value) => (value === 0 ? 0 : value));
          assert.deepEqual(plain(back?.data), plain(tensor.data));
          assert.equal(datatypeOf(back?.type ?? 'bool'), datatypeOf(tensor.type));
        },
      ),
    );
  });
});

describe('decodeRaw', () => {
  const signature = (dims?: readonly (number | string)[]) => ({
    inputs: [{ name: 'x', type: 'float32' as const, ...(dims === undefined ? {} : { dims }) }],
    outputs: [],
  });
  const raw = (floats: number): Uint8Array<ArrayBuffer> => new Uint8Array(new Float32Array(floats).buffer);

  it('derives the only free dimension', () =>
    assert.deepEqual(decodeRaw(raw(8), signature(['batch', 4])).inputs['x']?.dims, [2, 4]));
  it('accepts a fixed shape', () => assert.deepEqual(decodeRaw(raw(4), signature([1, 4])).inputs['x']?.dims, [1, 4]));
  it('answers in binary', () => assert.equal(decodeRaw(raw(4), signature([4])).binaryOutput, true));
  it('reads the whole body as one string', () => {
    const request = decodeRaw(new Uint8Array(Buffer.from('héllo')), {
      inputs: [{ name: 't', type: 'string', dims: ['n'] }],
      outputs: [],
    });
    assert.deepEqual(request.inputs['t']?.data, ['héllo']);
  });

  it('refuses NUL in a string, because ONNX Runtime would cut the string there', () => {
    const strings = { inputs: [{ name: 't', type: 'string' as const, dims: ['n'] }], outputs: [] };
    assert.throws(
      () => decodeRaw(new Uint8Array(Buffer.from('a\0b')), strings),
      /input 't': element 0 has a NUL character at position 1/,
    );
  });

  const rows: readonly {
    readonly name: string;
    readonly body: Uint8Array<ArrayBuffer>;
    readonly dims: readonly (number | string)[];
    readonly says: RegExp;
  }[] = [
    {
      name: 'two free dimensions',
      body: raw(8),
      dims: ['a', 'b'],
      says: /8 elements do not determine a shape \[a,b\]/,
    },
    {
      name: 'elements that do not fill a row',
      body: raw(7),
      dims: ['a', 4],
      says: /7 elements do not determine a shape/,
    },
    {
      name: 'the wrong size for a fixed shape',
      body: raw(7),
      dims: [2, 4],
      says: /7 elements do not determine a shape/,
    },
    {
      name: 'half an element',
      body: new Uint8Array(6),
      dims: ['a'],
      says: /a raw body of 6 bytes does not contain whole elements of FP32/,
    },
  ];
  for (const { name, body, dims, says } of rows)
    it(`refuses ${name}`, () => assert.throws(() => decodeRaw(body, signature(dims)), says));

  it('refuses a model with two inputs', () => {
    const two = { inputs: [...signature([1]).inputs, { name: 'z', type: 'float32' as const, dims: [1] }], outputs: [] };
    assert.throws(() => decodeRaw(raw(1), two), /needs a model with one input, but this model has 2/);
  });
});
