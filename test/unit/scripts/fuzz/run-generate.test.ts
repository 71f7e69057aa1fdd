/** The fuzzer's random requests are the same for the same seed, and it distinguishes right answers from wrong ones. */
import assert from 'node:assert/strict';
import { gunzipSync, inflateSync } from 'node:zlib';
import { checkOf } from '../../../../scripts/fuzz/answers.ts';
import { targets, type Answer, type Case } from '../../../../scripts/fuzz/cases.ts';
import { Chance } from '../../../../scripts/fuzz/chance.ts';
import { parseAnswer } from '../../../../scripts/fuzz/channel.ts';
import { caseOf } from '../../../../scripts/fuzz/run.ts';
import { tensorModels, type TensorModel } from '../../../../scripts/fuzz/models.ts';
import { judge } from '../../../../scripts/fuzz/reference.ts';

const modelOf = (name: string): TensorModel => tensorModels.find((model) => model.name === name)!;
const wire = ({ parts }: Case): string =>
  parts.map((part) => (Buffer.isBuffer(part) ? part.toString('latin1') : JSON.stringify(part))).join('|');

describe('the fuzzer', () => {
  it('makes the same case from the same seed and index, in any order', () => {
    const indices = Array.from({ length: 300 }, (_, index) => index);
    const forward = indices.map((index) => wire(caseOf(7, index, targets)));
    const backward = indices
      .toReversed()
      .map((index) => wire(caseOf(7, index, targets)))
      .toReversed();
    assert.deepEqual(forward, backward);
  });

  it('makes other cases from another seed and another index', () => {
    const cases = new Set(Array.from({ length: 200 }, (_, index) => wire(caseOf(index % 2, index, ['binary']))));
    assert.ok(cases.size > 190, `${cases.size} of 200 differ`);
  });

  it('draws every number about equally often', () => {
    const chance = new Chance(1, 1);
    const counts = [0, 0, 0, 0];
    for (let draws = 0; draws < 4000; draws += 1) counts[chance.below(4)]! += 1;
    for (const count of counts) assert.ok(count > 850 && count < 1150, counts.join());
  });

  it('makes every kind of case for every target', () => {
    const kinds = new Set(Array.from({ length: 4000 }, (_, index) => caseOf(3, index, targets).kind));
    for (const kind of [
      'http/pipeline',
      'http/chunks-broken',
      'http/leaves',
      'json/tree',
      'binary/raw',
      'binary/header',
      'embeddings/nothing',
    ])
      assert.ok(kinds.has(kind), kind);
  });

  it('writes bodies that can be read again in every encoding', () => {
    for (let index = 0; index < 500; index += 1) {
      const text = Buffer.concat(caseOf(5, index, ['json']).parts.filter((part) => Buffer.isBuffer(part)));
      const [head, body] = [
        text.subarray(0, text.indexOf('\r\n\r\n')).toString('latin1'),
        text.subarray(text.indexOf('\r\n\r\n') + 4),
      ];
      if (head.includes('chunked')) continue;
      assert.equal(Number(/^Content-Length: (\d+)/m.exec(head)?.[1]), body.length);
      if (head.includes('Content-Encoding: gzip')) gunzipSync(body);
      if (head.includes('Content-Encoding: deflate')) inflateSync(body);
    }
  });
});

describe('the reference of the protocol', () => {
  const floats = (more: object): string =>
    JSON.stringify({ inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4], ...more }] });
  // prettier-ignore
  const rows: readonly { readonly name: string; readonly model: string; readonly body: string;
    readonly header?: string; readonly is: 'Answer' | 'Refused' | 'Unsure' }[] = [
    { name: 'accepts a valid request', model: 'floats', body: floats({}), is: 'Answer' },
    { name: 'accepts nested data', model: 'floats', body: floats({ data: [[1, 2, 3, 4]] }), is: 'Answer' },
    { name: 'refuses too few values', model: 'floats', body: floats({ data: [1, 2, 3] }), is: 'Refused' },
    { name: 'refuses a dimension that is not the model\'s',
      model: 'floats', body: floats({ shape: [4, 1] }), is: 'Refused' },
    { name: 'refuses a number that is too large for the type', model: 'floats',
      body: floats({ data: [1, 2, 3, 1e39] }), is: 'Refused' },
    { name: 'refuses a text that ends at NUL', model: 'texts',
      body: JSON.stringify({ inputs: [{ name: 'x', shape: [1, 2],
        datatype: 'BYTES', data: ['a\0b', 'c'] }] }), is: 'Refused' },
    { name: 'refuses half a surrogate pair', model: 'texts',
      body: JSON.stringify({ inputs: [{ name: 'x', shape: [1, 2],
        datatype: 'BYTES', data: ['\ud800', 'c'] }] }), is: 'Refused' },
    { name: 'refuses FP16 as JSON', model: 'halves',
      body: JSON.stringify({ inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP16', data: [1, 2] }] }), is: 'Refused' },
    { name: 'refuses a number that JSON has rounded', model: 'longs',
      body: '{"inputs":[{"name":"x","shape":[1],"datatype":"INT64","data":[9007199254740993]}]}', is: 'Refused' },
    { name: 'accepts the same number as text', model: 'longs',
      body: '{"inputs":[{"name":"x","shape":[1],"datatype":"INT64","data":["9007199254740993"]}]}', is: 'Answer' },
    { name: 'refuses a header beyond the body', model: 'floats', body: floats({}), header: '9999', is: 'Refused' },
    { name: 'is unsure of a run without rows', model: 'floats',
      body: floats({ shape: [0, 4], data: [] }), is: 'Unsure' },
  ];
  for (const { name, model, body, header, is } of rows) {
    it(name, () => assert.equal(judge(modelOf(model), Buffer.from(body), header).kind, is));
  }

  const answer = (status: number, body: string): Answer => ({
    status,
    headers: new Map([['content-type', 'application/json']]),
    body: Buffer.from(body),
  });
  const right = judge(
    modelOf('sum'),
    Buffer.from(
      JSON.stringify({
        inputs: ['a', 'b'].map((name) => ({ name, shape: [1, 3], datatype: 'FP32', data: [1, 2, 3] })),
      }),
    ),
    undefined,
  );
  const output = (values: readonly number[]): string =>
    JSON.stringify({ outputs: [{ name: 'sum', datatype: 'FP32', shape: [1, 3], data: values }] });

  it('accepts the answer that it computed', () =>
    assert.equal(checkOf(right, 0)(answer(200, output([2, 4, 6]))), undefined));
  it('finds a wrong number', () =>
    assert.match(checkOf(right, 0)(answer(200, output([2, 4, 7]))) ?? '', /element 2 is 7, expected 6/));
  it('finds a 500', () =>
    assert.match(checkOf(right, 0)(answer(500, '{"error":"internal error"}')) ?? '', /status 500, expected 200/));
  it('finds an answer where a refusal is expected', () =>
    assert.match(
      checkOf({ kind: 'Refused', why: 'count' }, 0)(answer(200, output([1, 2, 3]))) ?? '',
      /expected a refusal/,
    ));
  it('finds an error without a message', () =>
    assert.match(checkOf({ kind: 'Refused', why: 'count' }, 0)(answer(400, '{}')) ?? '', /without a message/));

  describe('of sums that leave the range of float32', () => {
    const largest = 3.4028234663852886e38;
    const asked = { parameters: { binary_data_output: true } };
    const product = (row: readonly number[]) =>
      judge(
        modelOf('product'),
        Buffer.from(JSON.stringify({ ...asked, inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: row }] })),
        undefined,
      );
    const answered = (values: readonly number[]): Answer => {
      const head = JSON.stringify({
        outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }],
      });
      return {
        ...answer(200, ''),
        headers: new Map([['inference-header-content-length', String(head.length)]]),
        body: Buffer.concat([Buffer.from(head), Buffer.from(new Float32Array(values).buffer)]),
      };
    };

    it('accepts an infinity where the order of addition decides', () =>
      assert.equal(checkOf(product([largest, 1, 1e31, 0]), 1e-5)(answered([Infinity, 1e31])), undefined));
    it('finds an infinity where no sum can overflow', () =>
      assert.match(checkOf(product([1, 2, 3, 4]), 1e-5)(answered([Infinity, 1])) ?? '', /element 0 is Infinity/));
  });
});

describe('parseAnswer', () => {
  it('waits for the whole body', () =>
    assert.equal(
      parseAnswer(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc'), false, false).kind,
      'More',
    ));
  it('does not consume the next answer', () => {
    const found = parseAnswer(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nabHTTP/1.1'), false, false);
    assert.deepEqual(found.kind === 'Answer' && [found.answer.body.toString(), found.bytes], ['ab', 40]);
  });
  it('does not accept other bytes as an answer', () =>
    assert.equal(parseAnswer(Buffer.from('nonsense\r\n\r\n'), false, false).kind, 'Bad'));
  it('reads no body after the answer to HEAD', () =>
    assert.equal(parseAnswer(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'), true, false).kind, 'Answer'));
});
