/** The file formats of golden sets (requests with or without expected answers), and the messages about faults. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '../../../../runtime/engine/tensor.ts';
import { bytesInMemory, bytesOfFile } from '../../../../runtime/golden/bytes.ts';
import { frameMagic, openSet as open, setLimits, type GoldenSet } from '../../../../runtime/golden/set.ts';
import { decodeInfer, defaultDecodeLimits } from '../../../../runtime/protocol/oip/decode.ts';

const openSet = (bytes: Uint8Array<ArrayBuffer>, model: string): GoldenSet => open(bytesInMemory(bytes), model);
const utf8 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text));
const lines = (...values: readonly unknown[]): Uint8Array<ArrayBuffer> =>
  utf8(values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join('\n'));

const request = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
const expected = { outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [3, 4] }] };

function frame(json: unknown, blob: Buffer = Buffer.alloc(0)): Buffer {
  const text = json === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(json));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(text.length, 0);
  head.writeUInt32LE(text.length + blob.length, 4);
  return Buffer.concat([head, text, blob]);
}

function frames(...all: readonly Buffer[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat([Buffer.from(frameMagic, 'latin1'), ...all]));
}

const floats = (...values: readonly number[]): Buffer => Buffer.from(Float32Array.from(values).buffer);
const binary = (name: string, bytes: number): object => ({
  name,
  datatype: 'FP32',
  shape: [1, 2],
  parameters: { binary_data_size: bytes },
});

describe('a golden set of JSON lines', () => {
  it('is counted when it is opened and yields its cases in order, without blank lines', () => {
    const set = openSet(lines({ request, expected }, '', { request }, '  '), 'ranker');
    const cases = [...set.cases()];
    assert.equal(set.n, 2);
    assert.deepEqual(
      cases.map(({ where, form, expected: right }) => [where, form, right !== undefined]),
      [
        ['line 1', 'tensors', true],
        ['line 3', 'tensors', false],
      ],
    );
    assert.equal(cases[0]?.question.path, '/v2/models/ranker/infer');
  });

  it('requests the outputs that have expected values, with the inputs unchanged', () => {
    const [first] = openSet(lines({ request, expected }), 'ranker').cases();
    assert.ok(first !== undefined);
    const { question } = first;
    const asked = decodeInfer(new Uint8Array(question.body ?? []), question.jsonBytes ?? 0, defaultDecodeLimits);
    assert.deepEqual(asked.outputs, [{ name: 'y' }]);
    assert.ok(asked.binaryOutput);
    assert.deepEqual(asked.inputs, { x: { type: 'float32', dims: [1, 2], data: Float32Array.of(1, 2) } });
    assert.deepEqual(first.expected, { y: { type: 'float32', dims: [1, 2], data: Float32Array.of(3, 4) } });
  });

  it('requests the outputs that the request names when there is no expected answer', () => {
    const [first] = openSet(lines({ request: { ...request, outputs: [{ name: 'z' }] } }), 'm').cases();
    const asked = decodeInfer(
      new Uint8Array(first?.question.body ?? []),
      first?.question.jsonBytes ?? 0,
      defaultDecodeLimits,
    );
    assert.deepEqual(asked.outputs, [{ name: 'z' }]);
  });

  it('accepts texts and answers of /v1/embeddings, as lists or base64, in the order of their index', () => {
    const base64 = floats(0.5, 1).toString('base64');
    const answer = {
      object: 'list',
      data: [
        { index: 1, embedding: [0.25, 0.75] },
        { index: 0, embedding: base64 },
      ],
      model: 'another',
      usage: {},
    };
    const [first] = openSet(lines({ request: { input: ['a', 'b'] }, expected: answer }), 'minilm').cases();
    assert.equal(first?.form, 'embeddings');
    assert.deepEqual(JSON.parse(Buffer.from(first.question.body ?? []).toString()), {
      model: 'minilm',
      input: ['a', 'b'],
      encoding_format: 'base64',
    });
    assert.deepEqual(first.expected, {
      embedding: { type: 'float32', dims: [2, 2], data: Float32Array.of(0.5, 1, 0.25, 0.75) } satisfies Tensor,
    });
  });

  // prettier-ignore
  const faults: readonly { readonly of: string; readonly file: Uint8Array<ArrayBuffer>; readonly says: RegExp }[] = [
    { of: 'an empty file', file: utf8('\n \n'), says: /golden set, the file: has no cases/ },
    { of: 'a line that is not JSON', file: lines({ request }, '{"request": '),
      says: /golden set, line 2: the line is not JSON: it ends too early/ },
    { of: 'a line that is a list', file: lines('[1]'), says: /line 1: is not a JSON object/ },
    { of: 'an unknown field', file: lines({ request, expects: expected }),
      says: /line 1: unknown field 'expects'; known fields: request and expected/ },
    { of: 'a line without a request', file: lines({ expected }), says: /line 1: request is missing/ },
    { of: 'inputs that do not match their shape',
      file: lines({ request: { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 3], data: [1, 2] }] } }),
      says: /line 1: request: input 'x': data has 2 elements, but its shape \[1,3\] needs 3/ },
    { of: 'expected outputs of an unknown type',
      file: lines({ request }, { request, expected: {
        outputs: [{ name: 'y', datatype: 'F32', shape: [1], data: [1] }] } }),
      says: /line 2: expected: output 'y': datatype "F32" is not one of/ },
    { of: 'an empty list of expected outputs', file: lines({ request, expected: { outputs: [] } }),
      says: /line 1: expected: outputs is empty/ },
    { of: 'an expected answer that is not an object', file: lines({ request, expected: [3] }),
      says: /line 1: expected is not a JSON object/ },
    { of: 'embeddings of different lengths', file: lines(
        { request: { input: ['a', 'b'] }, expected: { data: [{ embedding: [1, 2] }, { embedding: [1] }] } }),
      says: /line 1: expected: embedding 1 has 1 numbers, the first has 2/ },
    { of: 'a repeated index', file: lines(
        { request: { input: ['a', 'b'] }, expected: {
        data: [{ index: 0, embedding: [1] }, { index: 0, embedding: [1] }] } }), says: /data\[1\]\.index is 0/ },
    { of: 'an unknown field of a text request',
      file: lines({ request: { input: 'a', truncate: true } }), says: /unknown field 'truncate'/ },
    { of: 'too many elements', file: lines({ request: {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [2 ** 20 + 1], data: [] }] } }),
      says: /line 1: request: the inputs have 1048577 elements, the limit is 1048576/ },
    { of: 'a line that is too long', file: utf8(`{"request": "${'a'.repeat(4 * 2 ** 20)}"}`),
      says: /line 1: has \d+ bytes, more than the limit of 4194304/ },
    { of: 'too many cases', file: utf8('{}\n'.repeat(setLimits.cases + 1)),
      says: /has 1001 cases, more than the limit of 1000/ },
    { of: 'a file that is too large', file: new Uint8Array(setLimits.bytes + 1),
      says: /has 33554433 bytes, more than the limit of 33554432/ },
  ];
  for (const { of, file, says } of faults) {
    it(`is refused for ${of}`, () => {
      assert.throws(
        () => [...openSet(file, 'm').cases()],
        (error: Error) => says.test(error.message) || assert.fail(error.message),
      );
    });
  }

  it('yields the cases before the invalid one', () => {
    const seen: string[] = [];
    assert.throws(() => {
      for (const { where } of openSet(lines({ request }, { request: 7 }), 'm').cases()) seen.push(where);
    }, /line 2/);
    assert.deepEqual(seen, ['line 1']);
  });
});

describe('a golden set in a file', () => {
  it('is read piece by piece, also for lines that are longer than a piece', () => {
    const folder = mkdtempSync(join(tmpdir(), 'golden-set-'));
    try {
      const path = join(folder, 'golden.jsonl');
      const long = JSON.stringify({
        request: {
          inputs: [
            {
              name: 'x',
              datatype: 'FP32',
              shape: [50_000],
              data: Array.from({ length: 50_000 }, (_, index) => index / 8),
            },
          ],
        },
      });
      const content = Buffer.from([long, JSON.stringify({ request, expected }), '', long].join('\n'));
      writeFileSync(path, content);
      const fromFile = open(bytesOfFile(path, content.length), 'm');
      const fromMemory = openSet(new Uint8Array(content), 'm');
      assert.ok(long.length > 2 ** 18 && fromFile.n === 3);
      assert.deepEqual([...fromFile.cases()], [...fromMemory.cases()]);
      assert.deepEqual(
        [...fromFile.cases()].map(({ where }) => where),
        ['line 1', 'line 2', 'line 4'],
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a golden set in binary form', () => {
  it('yields the same cases as JSON lines', () => {
    const set = openSet(
      frames(frame({ inputs: [binary('x', 8)] }, floats(1, 2)), frame({ outputs: [binary('y', 8)] }, floats(3, 4))),
      'ranker',
    );
    const [fromFrames] = set.cases();
    const [fromLines] = openSet(lines({ request, expected }), 'ranker').cases();
    assert.equal(set.n, 1);
    assert.deepEqual({ ...fromFrames, where: '' }, { ...fromLines, where: '' });
    assert.equal(fromFrames?.where, 'case 1');
  });

  it('may omit the expected answer', () => {
    const [only] = openSet(frames(frame({ inputs: [binary('x', 8)] }, floats(1, 2)), frame(undefined)), 'm').cases();
    assert.equal(only?.expected, undefined);
  });

  it('carries numbers that JSON cannot express', () => {
    const [only] = openSet(
      frames(
        frame({ inputs: [binary('x', 8)] }, floats(1, 2)),
        frame({ outputs: [binary('y', 8)] }, floats(-Infinity, NaN)),
      ),
      'm',
    ).cases();
    assert.deepEqual(only?.expected?.['y']?.data, Float32Array.of(-Infinity, NaN));
  });

  // prettier-ignore
  const faults: readonly { readonly of: string; readonly file: Uint8Array<ArrayBuffer>; readonly says: RegExp }[] = [
    { of: 'no case', file: frames(), says: /has no cases/ },
    { of: 'a file that ends within a frame', file: frames(frame({ inputs: [] }),
        frame({ outputs: [] }).subarray(0, 20)), says:
        /case 1, expected: the frame declares \d+ bytes of JSON in \d+ bytes, but the file has 12 bytes left/ },
    { of: 'a file that ends before a frame', file: frames(frame({ inputs: [] })),
      says: /case 1, expected: the file ends before this frame/ },
    { of: 'a frame that is too large', file: frames(Buffer.from([1, 0, 0, 0, 0, 0, 0, 255])),
      says: /case 1, request: the frame has 4278190080 bytes/ },
    { of: 'an empty request', file: frames(frame(undefined), frame(undefined)), says: /case 1: the request is empty/ },
    { of: 'binary data of the wrong length', file: frames(frame({ inputs: [binary('x', 8)] }, floats(1)),
        frame(undefined)), says: /case 1: request: input 'x': binary_data_size 8 extends past the end/ },
    { of: 'too many cases', file: frames(...Array.from({ length: setLimits.cases + 1 },
        () => [frame({}), frame(undefined)]).flat()), says: /more than the limit of 1000/ },
  ];
  for (const { of, file, says } of faults) {
    it(`is refused for ${of}`, () => {
      assert.throws(
        () => [...openSet(file, 'm').cases()],
        (error: Error) => says.test(error.message) || assert.fail(error.message),
      );
    });
  }
});
