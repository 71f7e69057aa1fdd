/** The pure parts of the load generator: reading answers, and the times of an open loop. */
import assert from 'node:assert/strict';
import { AnswerReader, type ReadAnswer } from '../../../../bench/runtime/load/answer-reader.ts';
import { arrivalsMs, dueAt } from '../../../../bench/runtime/load/schedule.ts';
import { Tally } from '../../../../bench/runtime/load/tally.ts';

const withLength = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b: c\r\n\r\nhello';
const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n';

/** Reads an answer that arrives in pieces of a size. */
function readIn(text: string, size: number): ReadAnswer | undefined {
  const reader = new AnswerReader(true);
  let answer: ReadAnswer | undefined;
  for (let at = 0; at < text.length; at += size) {
    assert.equal(answer, undefined);
    answer = reader.push(Buffer.from(text.slice(at, at + size)));
  }
  return answer;
}

describe('AnswerReader', () => {
  for (const [name, text] of Object.entries({ 'a declared length': withLength, chunks: chunked }))
    for (const size of [1, 7, 1000])
      it(`reads an answer with ${name} in pieces of ${size} bytes`, () => {
        const answer = readIn(text, size);
        assert.equal(answer?.status, 200);
        assert.equal(Buffer.from(answer.body).toString(), 'hello');
      });

  it('reads one answer after the other', () => {
    const reader = new AnswerReader();
    assert.equal(reader.push(Buffer.from(withLength))?.status, 200);
    assert.equal(reader.push(Buffer.from('HTTP/1.1 429 Too Many\r\ncontent-length: 0\r\n\r\n'))?.status, 429);
  });

  it('keeps headers in lower case, with colons in their values', () =>
    assert.equal(readIn(withLength, 1000)?.headers.get('x-a'), 'b: c'));

  it('keeps bodies only when asked', () =>
    assert.equal(new AnswerReader().push(Buffer.from(withLength))?.body.length, 0));

  it('says that the server closes the connection', () =>
    assert.equal(readIn('HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n', 1000)?.keepsAlive, false));

  it('refuses what is not HTTP/1.1', () =>
    assert.throws(() => readIn('SSH-2.0-x\r\n\r\n', 1000), /not an HTTP\/1\.1 answer: SSH-2\.0-x/));
});

describe('the schedule of an open loop', () => {
  it('has the asked rate, in order, and ends in time', () => {
    const times = arrivalsMs(500, 10_000, 1);
    assert.ok(Math.abs(times.length - 5000) < 250, `${times.length} arrivals`);
    assert.ok(times.every((at, index) => at < 10_000 && at >= (times[index - 1] ?? 0)));
  });

  it('is the same for the same seed, and another one for another seed', () => {
    assert.deepEqual(arrivalsMs(50, 1000, 3), arrivalsMs(50, 1000, 3));
    assert.notDeepEqual(arrivalsMs(50, 1000, 3), arrivalsMs(50, 1000, 4));
  });

  it('has irregular gaps, as requests of independent clients have', () => {
    const times = arrivalsMs(100, 10_000, 5);
    const gaps = [...times].map((at, index) => at - (times[index - 1] ?? 0));
    assert.ok(gaps.filter((gap) => gap < 10).length > gaps.length / 2);
  });

  // prettier-ignore
  const cases: readonly { readonly name: string; readonly next: number; readonly nowMs: number;
    readonly due: number }[] = [
    { name: 'nothing is due before the first arrival', next: 0, nowMs: 0.5, due: 0 },
    { name: 'an arrival is due at its time', next: 0, nowMs: 1, due: 1 },
    { name: 'all arrivals of a late moment are due together', next: 1, nowMs: 9, due: 2 },
    { name: 'after the last arrival nothing is due', next: 3, nowMs: 99, due: 0 },
  ];
  for (const { name, next, nowMs, due } of cases)
    it(name, () => assert.equal(dueAt(Float64Array.of(1, 2, 3), next, nowMs), due));
});

describe('Tally', () => {
  const answer = (
    status: number,
    headers: Readonly<Record<string, string>> = {},
  ): Pick<ReadAnswer, 'status' | 'headers'> => ({
    status,
    headers: new Map(Object.entries(headers)),
  });

  it('counts from begin on, and tells answers apart by status', () => {
    const tally = new Tally();
    tally.count(answer(200), 1);
    tally.count(answer(500), 1);
    tally.begin(10);
    tally.count(answer(200), 2);
    tally.count(answer(429, { 'retry-after': '3' }), 0.1);
    tally.count(answer(503, { 'retry-after': 'Tue, 01 Dec 2026 07:22:37 GMT' }), 0.1);
    tally.count(answer(0), 0.1);
    const { inTime, latenciesMs, others, retryAfterSeconds, serverCpuSeconds } = tally.end(12.5);
    assert.deepEqual([inTime, [...latenciesMs], others], [1, [2], { 429: 1, 503: 1, 0: 1 }]);
    assert.deepEqual([retryAfterSeconds, serverCpuSeconds], [[3], 2.5]);
  });
});
