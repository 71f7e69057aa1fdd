/**
 * KnownHeads: if the JSON head of a binary request was decoded before, the request is decoded without parsing the head
 * again.
 */
import assert from 'node:assert/strict';
import { decodeInfer, defaultDecodeLimits, type InferRequest } from '../../../../../runtime/protocol/oip/decode.ts';
import { KnownHeads } from '../../../../../runtime/protocol/oip/known-heads.ts';

type Body = { readonly body: Uint8Array<ArrayBuffer>; readonly jsonBytes: number };

function bodyOf(json: unknown, ...data: readonly (Float32Array | Uint8Array)[]): Body {
  const head = Buffer.from(JSON.stringify(json));
  const bytes = data.map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  return { body: Uint8Array.from(Buffer.concat([head, ...bytes])), jsonBytes: head.length };
}

function decoded({ body, jsonBytes }: Body): InferRequest {
  return decodeInfer(body, jsonBytes, defaultDecodeLimits);
}

/** Adds `first` to the known heads. @returns `asked` decoded by a known head; undefined when its head is not known */
function found(first: Body, asked: Body): InferRequest | undefined {
  const heads = new KnownHeads();
  heads.add(first.body, first.jsonBytes, decoded(first));
  return heads.find(asked.body, asked.jsonBytes);
}

/**
 * The request with plain lists: deepEqual would report a difference between an object without a prototype and an
 * ordinary one.
 */
const shown = ({ inputs, ...rest }: InferRequest): unknown => [
  rest,
  Object.entries(inputs).map(([name, { type, dims, data }]) => [name, type, dims, [...data]]),
];
const x = (datatype: string, shape: readonly number[], size: number): object => ({
  name: 'x',
  datatype,
  shape,
  parameters: { binary_data_size: size },
});

describe('KnownHeads', () => {
  const json = { id: '1', inputs: [x('FP32', [1, 2], 8)], outputs: [{ name: 'y' }], parameters: { timeout: 5000 } };
  const body = bodyOf(json, Float32Array.of(1, 2));

  it('returns the same request as decoding, with the tensors of the new body', () => {
    const other = bodyOf(json, Float32Array.of(3, 4));
    const request = found(body, other);
    assert.deepEqual(request && shown(request), shown(decoded(other)));
  });

  it('finds an input with the name of an inherited property, except __proto__', () => {
    for (const name of ['constructor', '__proto__']) {
      const named = bodyOf({ inputs: [{ ...x('UINT8', [1], 1), name }] }, Uint8Array.of(7));
      const request = found(named, named);
      assert.deepEqual(request && shown(request), name === '__proto__' ? undefined : shown(decoded(named)));
    }
  });

  it('does not remember input names that a JavaScript object would put into another order', () => {
    const inputs = ['input', '1', '0'].map((name) => ({ ...x('UINT8', [1], 1), name }));
    const named = bodyOf({ inputs }, Uint8Array.of(5, 11, 22));
    assert.equal(found(named, named), undefined);
    assert.deepEqual(
      ['input', '1', '0'].map((name) => decoded(named).inputs[name]?.data[0]),
      [5, 11, 22],
    );
  });

  // prettier-ignore
  const unknown: readonly [string, Body, Body][] = [
    ['another head', body, bodyOf({ ...json, id: '2' }, Float32Array.of(1, 2))],
    ['fewer bytes behind the head', body, bodyOf(json, Float32Array.of(1))],
    ['more bytes behind the head', body, bodyOf(json, Float32Array.of(1, 2, 3))],
    ['strings', bodyOf({ inputs: [x('BYTES', [1], 5)] }, Uint8Array.of(1, 0, 0, 0, 65)),
      bodyOf({ inputs: [x('BYTES', [1], 5)] }, Uint8Array.of(1, 0, 0, 0, 66))],
    ['data in the JSON', bodyOf({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] }),
      bodyOf({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] })],
  ];
  for (const [name, first, asked] of unknown)
    it(`does not find ${name}`, () => assert.equal(found(first, asked), undefined));

  it('checks the values of a BOOL', () => {
    const flags = (value: number): Body => bodyOf({ inputs: [x('BOOL', [1], 1)] }, Uint8Array.of(value));
    assert.throws(() => found(flags(1), flags(2)), /element 0 is the byte 2, but a BOOL is 0 or 1/);
  });

  it('forgets the oldest head when it has too many', () => {
    const heads = new KnownHeads();
    const many = Array.from({ length: 9 }, (_, index) => bodyOf({ ...json, id: String(index) }, Float32Array.of(1, 2)));
    for (const one of many) heads.add(one.body, one.jsonBytes, decoded(one));
    assert.deepEqual(
      many.map((one) => heads.find(one.body, one.jsonBytes)?.id),
      [undefined, '1', '2', '3', '4', '5', '6', '7', '8'],
    );
  });
});
