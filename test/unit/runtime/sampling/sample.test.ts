/** The format in which samples (users' requests with their answers) are sent from pod to pod. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { maxTaken, printTaken, readTaken, type Sample, type Taken } from '../../../../runtime/sampling/sample.ts';

const bytes = fc.uint8Array({ maxLength: 50 }).map((array) => new Uint8Array(array));
const message = fc.record({ body: bytes, jsonBytes: fc.option(fc.nat(50), { nil: undefined }) });
const sample: fc.Arbitrary<Sample> = fc
  .record({
    path: fc.constantFrom('/v2/models/m/infer', '/v1/embeddings'),
    request: message,
    answer: message,
    tier: fc.string(),
    sizeClass: fc.nat(2 ** 20),
    serviceMs: fc.option(fc.double({ min: 1e-3, max: 1e6, noNaN: true }), { nil: undefined }),
  })
  .map(({ serviceMs, ...rest }) => ({ ...rest, ...(serviceMs === undefined ? {} : { serviceMs }) }));

const one: Sample = {
  path: '/v2/models/m/infer',
  tier: 'default',
  sizeClass: 4,
  request: { body: new Uint8Array([123, 10, 125]), jsonBytes: 3 },
  answer: { body: new Uint8Array([1, 2]), jsonBytes: undefined },
};

/** An encoded sample with an arbitrary head and body. */
function made(head: unknown, body: string = ''): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(`${typeof head === 'string' ? head : JSON.stringify(head)}\n${body}`));
}

const head = { path: '/v2/models/m/infer', tier: 'default', sizeClass: 4, request: { bytes: 2 }, answer: { bytes: 1 } };

const strange: readonly (readonly [string, Uint8Array<ArrayBuffer>])[] = [
  ['without a head', new Uint8Array(200_000)],
  ['with a head that is not JSON', made('{', '')],
  [
    'with more samples than are asked for',
    made({
      tooLarge: 0,
      samples: Array.from({ length: maxTaken + 1 }, () => ({ ...head, request: { bytes: 0 }, answer: { bytes: 0 } })),
    }),
  ],
  ['with fewer bytes than the head says', made({ tooLarge: 0, samples: [head] }, 'ab')],
  ['with more bytes than the head says', made({ tooLarge: 0, samples: [head] }, 'abcd')],
  ['with another path', made({ tooLarge: 0, samples: [{ ...head, path: '/metrics' }] }, 'abc')],
  [
    'with a path that is more than a path',
    made({ tooLarge: 0, samples: [{ ...head, path: '/v2/models/m/infer HTTP/1.1\r\nx: y' }] }, 'abc'),
  ],
  ['with a negative length', made({ tooLarge: 0, samples: [{ ...head, request: { bytes: -2 } }] }, 'abc')],
  [
    'with a length that is not an integer',
    made({ tooLarge: 0, samples: [{ ...head, request: { bytes: 1e300 } }] }, 'abc'),
  ],
  ['with a negative time', made({ tooLarge: 0, samples: [{ ...head, serviceMs: -1 }] }, 'abc')],
  ['with a time in words', made({ tooLarge: 0, samples: [{ ...head, serviceMs: '3ms' }] }, 'abc')],
  ['without a size class', made({ tooLarge: 0, samples: [{ ...head, sizeClass: 'large' }] }, 'abc')],
];

describe('readTaken', () => {
  it('gives back what was printed', () => {
    fc.assert(
      fc.property(fc.array(sample, { maxLength: maxTaken }), fc.nat(), (samples, tooLarge) => {
        const taken: Taken = { samples, tooLarge };
        assert.deepEqual(readTaken(new Uint8Array(printTaken(taken))), structuredClone(taken));
      }),
    );
  });

  it('copies bodies, so that they can be transferred to another thread', () => {
    const read = readTaken(new Uint8Array(printTaken({ samples: [one], tooLarge: 0 })))!;
    assert.equal(read.samples[0]!.request.body.buffer.byteLength, 3);
  });

  for (const [name, bytesOf] of strange)
    it(`refuses a message ${name}`, () => assert.equal(readTaken(bytesOf), undefined));

  it('reads a valid message', () =>
    assert.equal(readTaken(made({ tooLarge: 3, samples: [head] }, 'abc'))?.samples.length, 1));
});
