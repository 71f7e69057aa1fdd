import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { readTrace, type TraceEntry } from '../../../../cli/offline/trace.ts';

describe('the lines of a trace', () => {
  const good = '{"t":1,"revision":"stable","latencyMs":2.5,"ok":true}';
  async function read(text: string, chunkBytes = 1 << 16): Promise<TraceEntry[]> {
    const bytes = Buffer.from(text);
    const chunks = Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, i) =>
      bytes.subarray(i * chunkBytes, (i + 1) * chunkBytes),
    );
    const requests: TraceEntry[] = [];
    for await (const batch of readTrace('trace', Readable.from(chunks))) requests.push(...batch);
    return requests;
  }

  it('do not depend on the chunks that the bytes arrive in', async () => {
    const text = `${good}\r\n\n{"t":2,"revision":"candidate","latencyMs":3,"ok":false,"agree":false,"path":"/v2/ü"}`;
    const whole = await read(text);
    assert.deepEqual(
      whole.map((request) => request.line),
      [1, 3],
    );
    for (const size of [1, 2, 7, 64]) assert.deepEqual(await read(text, size), whole);
  });

  it('may lack the latency of a failed request', async () => {
    const failures = [
      '{"t":1,"revision":"candidate","ok":false}',
      '{"t":2,"revision":"candidate","latencyMs":null,"ok":false}',
    ].join('\n');
    assert.deepEqual(
      await read(failures),
      [1, 2].map((t) => ({ t, revision: 'candidate', latencyMs: 0, ok: false, line: t })),
    );
  });

  // prettier-ignore
  const bad: readonly { name: string; text: string; says: RegExp }[] = [
    { name: 'a line that is not JSON', text: `${good}\nhello`, says: /trace line 2: not JSON: hello/ },
    { name: 'a list', text: '[1]', says: /line 1: not a JSON object/ },
    { name: 'a time before the previous line', text: `${good}\n${good.replace('"t":1',
        '"t":0.5')}`, says: /line 2: t is 0\.5, less than 1 in an earlier line/ },
    { name: 'a ratio of 0', text: '{"t":1,"ratio":0,"source":"Probe"}',
      says: /line 1: ratio is 0, expected a number above 0/ },
    { name: 'a pair without a source', text: '{"t":1,"ratio":1.1}',
      says: /line 1: source is missing, expected "Replay" or "Probe" or "Shadow"/ },
    { name: 'no time', text: '{"revision":"stable","latencyMs":2.5,"ok":true}', says: /line 1: t is missing/ },
    { name: 'a negative latency', text: good.replace('2.5', '-1'), says: /latencyMs is -1, expected milliseconds/ },
    { name: 'an answer without a latency', text:
        '{"t":1,"revision":"stable","ok":true}', says: /latencyMs is missing/ },
    { name: 'a latency that is text', text: good.replace('2.5', '"2.5"'), says: /latencyMs is "2\.5"/ },
    { name: 'another revision', text: good.replace('stable', 'canary'),
      says: /revision is "canary", expected "stable" or "candidate"/ },
    { name: 'ok that is a number', text: good.replace('true', '1'), says: /ok is 1, expected true or false/ },
    { name: 'agree that is text', text: good.replace('}', ',"agree":"yes"}'), says: /agree is "yes"/ },
    { name: 'an endless line', text: `${good}\n${'x'.repeat(5000)}`,
      says: /line 2: the line is longer than 4096 bytes/ },
  ];
  for (const { name, text, says } of bad) it(`refuses ${name}`, () => assert.rejects(read(text), says));
});
