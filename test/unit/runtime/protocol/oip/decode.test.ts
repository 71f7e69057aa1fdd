/** What valid infer requests contain, and the messages about invalid ones. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AppError } from '../../../../../api/errors.ts';
import { decodeInfer, defaultDecodeLimits, type InferRequest } from '../../../../../runtime/protocol/oip/decode.ts';

const limits = { ...defaultDecodeLimits, maxTensors: 4, maxRank: 4, maxElements: 1000 };
const bytes = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text));
const decodeJson = (value: unknown): InferRequest => {
  const body = bytes(typeof value === 'string' ? value : JSON.stringify(value));
  return decodeInfer(body, body.length, limits);
};

/** A decoded request whose body has JSON followed by binary data. */
function withBlob(json: unknown, ...blobs: readonly (readonly number[])[]): InferRequest {
  const head = bytes(JSON.stringify(json));
  const body = new Uint8Array([...head, ...blobs.flat()]);
  return decodeInfer(body, head.length, limits);
}

const x = (overrides: object = {}): object => ({
  name: 'x',
  shape: [2, 2],
  datatype: 'FP32',
  data: [1, 2, 3, 4],
  ...overrides,
});
const one = (overrides: object = {}): object => ({ inputs: [x(overrides)] });
const valuesOf = (request: InferRequest, name = 'x'): unknown[] =>
  Array.from<unknown>(request.inputs[name]?.data ?? []);

type Good = { readonly name: string; readonly request: unknown; readonly want: readonly unknown[] };
// prettier-ignore
const good: readonly Good[] = [
  { name: 'a flat list', request: one(), want: [1, 2, 3, 4] },
  { name: 'a list nested like the shape', request: one({ data: [[1, 2], [3, 4]] }), want: [1, 2, 3, 4] },
  { name: 'a scalar', request: one({ shape: [], data: [7] }), want: [7] },
  { name: 'no elements at all', request: one({ shape: [0, 2], data: [] }), want: [] },
  { name: 'booleans', request: one({ datatype: 'BOOL', data: [true, false, 1, 0] }), want: [1, 0, 1, 0] },
  { name: 'texts', request: one({ datatype: 'BYTES', data: ['a', 'é', '', '日本'] }), want: ['a', 'é', '', '日本'] },
  { name: 'wide integers as numbers', request: one(
      { datatype: 'INT64', data: [1, -2, 9007199254740991, 0] }), want: [1n, -2n, 9007199254740991n, 0n] },
  { name: 'larger integers as strings', request: one(
      { datatype: 'INT64', data: ['9223372036854775807', '-9223372036854775808',
      0, '5'] }), want: [2n ** 63n - 1n, -(2n ** 63n), 0n, 5n] },
  { name: 'unsigned wide integers', request: one(
      { datatype: 'UINT64', data: ['18446744073709551615', 0, 1, 2] }), want: [2n ** 64n - 1n, 0n, 1n, 2n] },
  { name: 'the smallest and largest values of a byte', request: one({ datatype: 'INT8', data: [-128, 127, 0, 1] }),
    want: [-128, 127, 0, 1] },
  { name: 'doubles', request: one({ datatype: 'FP64', data: [0.1, 1e300, -0.5, 2] }), want: [0.1, 1e300, -0.5, 2] },
  { name: 'optional fields that are null', request: { ...one({ parameters: null }), id: null,
      outputs: null, parameters: { timeout: null, binary_data_output: null } }, want: [1, 2, 3, 4] },
  { name: 'unknown fields', request: { ...one(), surprise: [1],
      parameters: { custom: 'x', sequence_id: 0 } }, want: [1, 2, 3, 4] },
];

type Bad = { readonly name: string; readonly request: unknown; readonly says: RegExp };
// prettier-ignore
const bad: readonly Bad[] = [
  { name: 'text that is not JSON', request: '{"inputs": [', says: /not JSON: it ends too early/ },
  { name: 'a stray character', request: '{"inputs": x}', says: /not JSON: unexpected character/ },
  { name: 'a list', request: [], says: /the request is not a JSON object/ },
  { name: 'null', request: 'null', says: /the request is not a JSON object/ },
  { name: 'missing inputs', request: {}, says: /inputs is missing/ },
  { name: 'inputs that are not a list', request: { inputs: {} }, says: /inputs is missing or not a list/ },
  { name: 'an input that is not an object', request: { inputs: [3] }, says: /inputs\[0\] is not a JSON object/ },
  { name: 'an input without a name', request: { inputs: [{ ...x(), name: undefined }] },
    says: /inputs\[0\]: name is missing/ },
  { name: 'a name that is a number', request: one({ name: 3 }), says: /name is 3, not a text/ },
  { name: 'a missing datatype', request: one({ datatype: undefined }),
    says: /input 'x': datatype missing is not one of BOOL/ },
  { name: 'an unknown datatype', request: one({ datatype: 'float' }),
    says: /input 'x': datatype "float" is not one of/ },
  { name: 'BF16, which the engine cannot carry',
    request: one({ datatype: 'BF16' }), says: /datatype "BF16" is not one of/ },
  { name: 'a missing shape', request: one({ shape: undefined }), says: /input 'x': shape is missing/ },
  { name: 'a negative dimension', request: one({ shape: [-1, 4] }), says: /input 'x': dimension 0 of its shape is -1/ },
  { name: 'a fractional dimension', request: one({ shape: [2, 1.5] }), says: /dimension 1 of its shape is 1.5/ },
  { name: 'a dimension as text', request: one({ shape: ['2', 2] }), says: /dimension 0 of its shape is "2"/ },
  { name: 'too many dimensions', request: one({ shape: [1, 1, 1, 2, 2] }),
    says: /shape has 5 dimensions, more than the limit of 4/ },
  { name: 'more elements than allowed', request: one({ shape: [1000, 1000] }),
    says: /1000000 elements, the limit is 1000/ },
  { name: 'fewer values than the shape needs', request: one({ data: [1, 2, 3] }),
    says: /input 'x': data has 3 elements, but its shape \[2,2\] needs 4/ },
  { name: 'more values than the shape needs', request: one({ data: [1, 2, 3, 4, 5] }), says: /data has 5 elements/ },
  { name: 'ragged rows', request: one({ data: [[1], [2, 3, 4]] }),
    says: /a list at depth 2 of its data has 1 entries/ },
  { name: 'nesting deeper than the shape', request: one(
      { data: [[[1], [2]], [[3], [4]]] }), says: /the nesting of its data does not match its shape/ },
  { name: 'lists among values', request: one({ data: [1, [2], 3, 4] }),
    says: /element 1 of data is a list, but other elements are values/ },
  { name: 'values among lists', request: one({ data: [[1, 2], 3] }),
    says: /the nesting of its data does not match its shape/ },
  { name: 'missing data', request: one({ data: undefined }), says: /input 'x': data is missing/ },
  { name: 'data that is a string', request: one({ data: 'abcd' }), says: /data is missing or not a list/ },
  { name: 'a string among floats', request: one({ data: [1, 'two', 3, 4] }),
    says: /input 'x': element 1 is "two", which is not FP32/ },
  { name: 'null among floats', request: one({ data: [1, null, 3, 4] }), says: /element 1 is null/ },
  { name: "a float out of FP32's range", request: one({ data: [1, 2, 3, 1e39] }),
    says: /element 3 is 1e\+39, which is not FP32/ },
  { name: 'infinity from a large number',
    request: '{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1e999]}]}',
    says: /element 0 is Infinity, which is not FP64/ },
  { name: 'an integer out of range', request: one({ datatype: 'UINT8', data: [1, 2, 3, 256] }),
    says: /element 3 is 256, which is not UINT8/ },
  { name: 'a fraction among integers', request: one({ datatype: 'INT32', data: [1, 2.5, 3, 4] }),
    says: /element 1 is 2.5, which is not INT32/ },
  { name: 'a wide integer that has lost digits',
    request: '{"inputs":[{"name":"x","shape":[1],"datatype":"INT64","data":[9007199254740993]}]}',
    says: /element 0 is beyond 2\^53.*as a string/ },
  { name: 'a wide integer out of range', request: one(
      { datatype: 'INT64', shape: [1], data: ['9223372036854775808'] }), says: /which is not INT64/ },
  { name: 'letters as an integer', request: one(
      { datatype: 'INT64', shape: [1], data: ['0x10'] }), says: /which is not INT64/ },
  { name: 'a string with NUL in it', request: one({ datatype: 'BYTES', shape: [2], data: ['a', 'b\0c'] }),
    says: /input 'x': element 1 has a NUL character at position 1, which ONNX Runtime's binding cannot carry/ },
  { name: 'a nested string of NUL only', request: one({ datatype: 'BYTES', shape: [1, 1], data: [['\0']] }),
    says: /element 0 has a NUL character at position 0/ },
  { name: 'a string with half of a surrogate pair',
    request: one({ datatype: 'BYTES', shape: [1], data: ['a\ud83d'] }), says: /element 0 is not UTF-8/ },
  { name: 'a number instead of a string', request: one({ datatype: 'BYTES', shape: [1], data: [3] }),
    says: /element 0 is 3, which is not BYTES/ },
  { name: 'two instead of a boolean', request: one({ datatype: 'BOOL', shape: [1], data: [2] }),
    says: /element 0 is 2, which is not BOOL/ },
  { name: 'FP16 in JSON', request: one({ datatype: 'FP16' }),
    says: /FP16, which JSON cannot express: send it as binary data/ },
  { name: 'an input twice', request: { inputs: [x(), x()] }, says: /input 'x' is given twice/ },
  { name: 'too many inputs', request: { inputs: [1, 2, 3, 4, 5] },
    says: /inputs has 5 entries, more than the limit of 4/ },
  { name: 'an id that is a number', request: { ...one(), id: 42 }, says: /id is 42, not a text/ },
  { name: 'parameters that are a list', request: { ...one(), parameters: [] },
    says: /parameters of the request is not a JSON object/ },
  { name: 'a negative timeout', request: { ...one(), parameters: { timeout: -1 } },
    says: /timeout is -1, not a number of microseconds/ },
  { name: 'a flag that is a string', request: { ...one(), parameters: { binary_data_output: 'yes' } },
    says: /binary_data_output of the request is "yes"/ },
  { name: 'shared memory', request: one({ parameters: {
      shared_memory_region: 'r' } }), says: /shared memory is not supported/ },
  { name: 'a sequence', request: { ...one(), parameters: { sequence_id: 7 } },
    says: /stateful sequences are not supported/ },
  { name: 'classification', request: { ...one(), outputs: [{ name: 'y', parameters: { classification: 3 } }] },
    says: /classification extension is not supported/ },
  { name: 'an output twice', request: { ...one(), outputs: [{ name: 'y' }, { name: 'y' }] },
    says: /output 'y' is requested twice/ },
  { name: 'an output without a name', request: { ...one(), outputs: [{}] }, says: /outputs\[0\]: name is missing/ },
  { name: 'endless nesting', request: `{"inputs":${'['.repeat(5000)}`, says: /nested deeper than 12 levels/ },
];

describe('decodeInfer', () => {
  for (const { name, request, want } of good)
    it(`accepts ${name}`, () => assert.deepEqual(valuesOf(decodeJson(request)), want));

  for (const { name, request, says } of bad) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => decodeJson(request),
        (error: unknown) =>
          error instanceof AppError &&
          (error.kind === 'invalid' || error.kind === 'oversize') &&
          says.test(error.message),
      );
    });
  }

  it('reads id, outputs and parameters', () => {
    const request = decodeJson({
      ...one(),
      id: 'a',
      outputs: [{ name: 'y', parameters: { binary_data: true } }, { name: 'z' }],
      parameters: { timeout: 20_000, binary_data_output: true, priority: 1 },
    });
    assert.deepEqual(
      [request.id, request.outputs, request.binaryOutput, request.timeoutMs],
      ['a', [{ name: 'y', binary: true }, { name: 'z' }], true, 20],
    );
  });

  it('treats a name that has a meaning in JavaScript as an ordinary name', () => {
    const request = decodeJson('{"inputs":[{"name":"__proto__","shape":[1],"datatype":"FP32","data":[1]}]}');
    assert.deepEqual(Object.keys(request.inputs), ['__proto__']);
  });
});

const binary = (name: string, datatype: string, shape: readonly number[], size: number): object => ({
  name,
  datatype,
  shape,
  parameters: { binary_data_size: size },
});

describe('decodeInfer with binary data', () => {
  it('mixes binary and JSON inputs, at unaligned offsets', () => {
    const request = withBlob(
      { inputs: [binary('flags', 'BOOL', [3], 3), x(), binary('n', 'INT64', [1], 8)] },
      [1, 0, 1],
      [255, 255, 255, 255, 255, 255, 255, 255],
    );
    assert.deepEqual(
      [valuesOf(request, 'flags'), valuesOf(request), valuesOf(request, 'n')],
      [[1, 0, 1], [1, 2, 3, 4], [-1n]],
    );
  });

  it('reads FP16 from its bits', () =>
    assert.deepEqual(
      valuesOf(withBlob({ inputs: [binary('h', 'FP16', [2], 4)] }, [0, 0x3c, 0, 0xc0]), 'h'),
      [0x3c00, 0xc000],
    ));

  it('reads BYTES with their lengths', () => {
    assert.deepEqual(
      valuesOf(withBlob({ inputs: [binary('t', 'BYTES', [2], 11)] }, [1, 0, 0, 0, 97, 2, 0, 0, 0, 0xc3, 0xa9]), 't'),
      ['a', 'é'],
    );
  });

  // prettier-ignore
  const rows: readonly { readonly name: string; readonly json: unknown;
    readonly blob: readonly number[]; readonly says: RegExp }[] = [
    { name: 'less data than announced', json: { inputs: [binary('x', 'FP32', [2], 8)] }, blob: [0, 0, 0, 0],
      says: /binary_data_size 8 extends past the end of the body, which has 4 bytes left/ },
    { name: 'more data than announced', json: { inputs: [binary('x', 'FP32', [1], 4)] }, blob: [0, 0, 0, 0, 0],
      says: /the body has 5 bytes of binary data, but the inputs' binary_data_size add up to 4/ },
    { name: 'a size that does not match the shape', json: { inputs: [binary('x', 'FP32', [2], 4)] },
      blob: [0, 0, 0, 0], says: /has 4 bytes of binary data, but its shape and datatype need 8/ },
    { name: 'a negative size', json: { inputs: [binary('x', 'FP32', [1], -4)] },
      blob: [], says: /binary_data_size is -4/ },
    { name: 'a size that is a string', json: { inputs: [
        { ...binary('x', 'FP32', [1], 4), parameters: { binary_data_size: '4' } }] },
      blob: [0, 0, 0, 0], says: /binary_data_size is "4"/ },
    { name: 'both data and a size', json: { inputs: [{ ...binary('x', 'FP32', [1], 4), data: [1] }] },
      blob: [0, 0, 0, 0], says: /has both data and binary_data_size/ },
    { name: 'data without a binary_data_size', json: { inputs: [x()] }, blob: [1],
      says: /the body has 1 bytes of binary data/ },
    { name: 'a BOOL of 2', json: { inputs: [binary('x', 'BOOL', [2],
        2)] }, blob: [1, 2], says: /element 1 is the byte 2/ },
    { name: 'BYTES that are not UTF-8', json: { inputs: [binary('x', 'BYTES', [1], 5)] },
      blob: [1, 0, 0, 0, 0xff], says: /element 0 is not UTF-8/ },
    { name: 'BYTES with half of a surrogate pair', json: { inputs: [binary('x', 'BYTES', [1], 7)] },
      blob: [3, 0, 0, 0, 0xed, 0xa0, 0xbd], says: /element 0 is not UTF-8/ },
    { name: 'BYTES with NUL in them', json: { inputs: [binary('x', 'BYTES', [1], 8)] },
      blob: [4, 0, 0, 0, 8, 1, 0, 18], says: /element 0 has a NUL character at position 2/ },
    { name: 'BYTES with a length past the end', json: { inputs: [binary('x', 'BYTES', [1], 5)] },
      blob: [9, 0, 0, 0, 97], says: /element 0 extends past the end/ },
    { name: 'BYTES with half a length', json: { inputs: [binary('x', 'BYTES', [1], 2)] },
      blob: [9, 0], says: /element 0 extends past the end/ },
    { name: 'BYTES with an extra element', json: { inputs: [binary('x', 'BYTES', [1], 10)] },
      blob: [1, 0, 0, 0, 97, 1, 0, 0, 0, 98], says: /has more elements, but its shape needs 1/ },
    { name: 'BYTES with a missing element', json: { inputs: [binary('x', 'BYTES', [2], 5)] },
      blob: [1, 0, 0, 0, 97], says: /has 1 elements, but its shape needs 2/ },
  ];
  for (const { name, json, blob, says } of rows)
    it(`refuses ${name}`, () => assert.throws(() => withBlob(json, blob), says));

  it('refuses a header longer than the body', () =>
    assert.throws(
      () => decodeInfer(bytes('{}'), 3, limits),
      /Inference-Header-Content-Length is 3, but the body has only 2 bytes/,
    ));
});

describe('decodeInfer with random input', () => {
  const survives = (body: Uint8Array<ArrayBuffer>, jsonBytes: number): void => {
    try {
      decodeInfer(body, jsonBytes, limits);
    } catch (error) {
      assert.ok(error instanceof AppError && error.kind !== 'bug', String(error));
    }
  };

  it('returns a request or an error for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(220), (body, jsonBytes) =>
        survives(new Uint8Array(body), jsonBytes),
      ),
    );
  });

  it('returns a request or an error for any JSON', () => {
    fc.assert(fc.property(fc.json(), (text) => survives(bytes(text), bytes(text).length)));
  });

  it('returns a request or an error for requests with any single fault', () => {
    const anything = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom('FP32', 'BYTES', 'INT64', -1, 2 ** 53, [[]], [2, 2]),
    );
    const field = fc.constantFrom('name', 'shape', 'datatype', 'data', 'parameters');
    fc.assert(
      fc.property(field, anything, fc.uint8Array({ maxLength: 20 }), (name, value, blob) => {
        const head = bytes(
          JSON.stringify({ inputs: [{ ...x(), [name]: value }], parameters: name === 'parameters' ? value : {} }),
        );
        survives(new Uint8Array([...head, ...blob]), head.length);
      }),
      { numRuns: 400 },
    );
  });
});
