import assert from 'node:assert/strict';
import fc from 'fast-check';
import { lastWordsLimitBytes, parseLastWords, printLastWords, type Resolved } from '../../../api/last-words.ts';

const resolved: Resolved = {
  digest: `sha256:${'a'.repeat(64)}`,
  bytes: 1,
  signature: 's',
  opset: 17,
  precision: 'INT8',
  provider: 'CPU',
  memoryEstimateBytes: 2,
};

describe('last words', () => {
  it('are read back as they were printed', () => {
    for (const words of [
      { kind: 'resolved', resolved } as const,
      { kind: 'failed', code: 'DIGEST_MISMATCH', message: 'no' } as const,
    ]) {
      assert.deepEqual(parseLastWords(printLastWords(words)), words);
    }
  });

  it('name the outputs that are not returned, up to a limit', () => {
    const resolved: Resolved = {
      digest: `sha256:${'a'.repeat(64)}`,
      bytes: 1,
      signature: 'b',
      opset: 17,
      precision: 'Source',
      provider: 'CPU',
      memoryEstimateBytes: 0,
      leftOut: "'scores' (sequence)",
    };
    assert.deepEqual(parseLastWords(printLastWords({ kind: 'resolved', resolved })), { kind: 'resolved', resolved });
    const { leftOut: _, ...without } = resolved;
    assert.deepEqual(
      parseLastWords(printLastWords({ kind: 'resolved', resolved: { ...resolved, leftOut: 'x'.repeat(301) } })),
      { kind: 'resolved', resolved: without },
    );
  });

  it('fit into a termination message with any message', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20_000 }), (message) => {
        const text = printLastWords({ kind: 'failed', code: 'ENGINE_LOAD_FAILED', message });
        assert.ok(Buffer.byteLength(text) <= lastWordsLimitBytes);
        assert.equal(parseLastWords(text)?.kind, 'failed');
      }),
      { numRuns: 50 },
    );
  });

  it('have the inputs and outputs of the model if they are short enough', () => {
    const io = { inputs: { x: 'float32[?,4]' }, outputs: { y: 'float32[?,2]' } };
    assert.deepEqual(parseLastWords(printLastWords({ kind: 'resolved', resolved: { ...resolved, io } })), {
      kind: 'resolved',
      resolved: { ...resolved, io },
    });
    const many = {
      inputs: Object.fromEntries(
        Array.from({ length: 200 }, (_, index) => [`past_key_values.${index}.key`, 'float32[?,12,?,64]']),
      ),
      outputs: {},
    };
    const text = printLastWords({ kind: 'resolved', resolved: { ...resolved, io: many } });
    assert.ok(Buffer.byteLength(text) <= lastWordsLimitBytes);
    assert.deepEqual(parseLastWords(text), { kind: 'resolved', resolved });
  });

  it('may come from an older runtime; an invalid digest is ignored', () => {
    const served = `sha256:${'b'.repeat(64)}`;
    assert.deepEqual(parseLastWords(printLastWords({ kind: 'resolved', resolved: { ...resolved, served } })), {
      kind: 'resolved',
      resolved: { ...resolved, served },
    });
    assert.deepEqual(
      parseLastWords(
        JSON.stringify({ schema: 1, kind: 'resolved', resolved: { ...resolved, served: 'b'.repeat(200) } }),
      ),
      { kind: 'resolved', resolved },
    );
  });

  const notWords = [
    '',
    '{',
    '[]',
    'null',
    '{"schema":2}',
    '{"schema":1,"kind":"failed"}',
    '{"schema":1,"kind":"resolved","resolved":{"digest":1}}',
    'x'.repeat(5000),
    'Killed',
  ];
  for (const text of notWords)
    it(`are not ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseLastWords(text), undefined));

  it('never make the reader throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseLastWords(text);
      }),
    );
  });
});
