/** Self-requests over a real socket: when they end, and what they report. */
import assert from 'node:assert/strict';
import { hasSettled, sendSelfRequests, type SelfRequest } from '../../../../runtime/serve/self-requests.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const good: SelfRequest = { path: '/good', headers: { 'x-mine': 'yes' }, body: Buffer.from('{}') };
const bad: SelfRequest = { path: '/bad', headers: {}, body: Buffer.from('{}') };
const never = new AbortController().signal;

describe('hasSettled', () => {
  for (const { name, costs, settled } of [
    { name: 'is false for fewer than six periods', costs: [1, 1, 1, 1, 1], settled: false },
    {
      name: 'is true when the last three periods are as expensive as before',
      costs: [1, 1, 1, 1, 1, 1],
      settled: true,
    },
    { name: 'is false while one of the last three is clearly cheaper', costs: [3, 2, 1, 1, 0.9, 0.8], settled: false },
    { name: 'is true when the cost rises, as beside other work', costs: [1, 1, 1, 2, 2, 2], settled: true },
    { name: 'is true when the cost falls by a few percent only', costs: [1, 1, 1, 0.97, 0.97, 0.97], settled: true },
  ])
    it(name, () => assert.equal(hasSettled(costs), settled));
});

describe('sendSelfRequests', () => {
  it('sends the requests in turn until their cost is settled, each as it is written', async () => {
    const clock = new HandClock();
    let cpuMs = 0;
    const heard: string[] = [];
    const { done, problem } = await sendSelfRequests({
      requests: [good],
      limitMs: 60_000,
      clock,
      cpuMs: () => cpuMs,
      stop: never,
      serve: (request, response) => {
        heard.push(`${request.method ?? ''} ${request.url ?? ''} ${String(request.headers['x-mine'])}`);
        // Each request advances the clock enough for one period of measurement, and costs the same CPU time.
        cpuMs += 1;
        void clock.advance(300).then(() => response.end('ok'));
      },
    });
    assert.equal(problem, undefined);
    assert.ok(done >= 6 && done <= 60, `${done} requests`);
    assert.deepEqual(new Set(heard), new Set(['POST /good yes']));
  });

  it('sends them both as plain requests and to node:http', async () => {
    const clock = new HandClock();
    const count = { plain: 0, usual: 0 };
    let cpuMs = 0;
    const { done, problem } = await sendSelfRequests({
      requests: [good],
      limitMs: 60_000,
      clock,
      cpuMs: () => {
        cpuMs += 1;
        return cpuMs;
      },
      stop: never,
      serve: (_request, response) => {
        count.usual += 1;
        void clock.advance(300).then(() => response.end('ok'));
      },
      plain: {
        takes: ({ path }) => path === good.path,
        begin: (_head, _body, connection) => {
          count.plain += 1;
          connection.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
          connection.answered(false);
          return () => {};
        },
        lease: () => assert.fail('a whole request is not charged here'),
      },
    });
    assert.equal(problem, undefined);
    assert.equal(count.plain + count.usual, done);
    assert.ok(Math.min(count.plain, count.usual) > 0, JSON.stringify(count));
  });

  it('does not repeat a request that is refused, and reports the reason', async () => {
    const heard: string[] = [];
    const { done, problem } = await sendSelfRequests({
      requests: [bad],
      limitMs: 60_000,
      clock: new HandClock(),
      cpuMs: () => 0,
      stop: never,
      serve: (request, response) => {
        heard.push(request.url ?? '');
        response.statusCode = 400;
        response.end('{"error":"no"}');
      },
    });
    assert.equal(done, 0);
    assert.equal(problem, '/bad: 400 {"error":"no"}');
    assert.ok(heard.length <= 4, `${heard.length} requests`);
  });

  it('ends at its limit although no request is answered', async () => {
    const clock = new HandClock();
    const heard = Promise.withResolvers<void>();
    const sending = sendSelfRequests({
      requests: [good],
      limitMs: 5_000,
      clock,
      cpuMs: () => 0,
      stop: never,
      serve: () => heard.resolve(),
    });
    await heard.promise;
    await clock.advance(5_000);
    assert.deepEqual(await sending, { done: 0 });
  });

  it('ends when the server is stopped', async () => {
    const stop = new AbortController();
    const sending = sendSelfRequests({
      requests: [good],
      limitMs: 5_000,
      clock: new HandClock(),
      cpuMs: () => 0,
      stop: stop.signal,
      serve: () => stop.abort(),
    });
    assert.deepEqual(await sending, { done: 0 });
  });

  it('sends nothing with a time limit of 0, and nothing without requests', async () => {
    const serve = (): void => assert.fail('a request');
    const usual = { clock: new HandClock(), cpuMs: () => 0, stop: never, serve };
    assert.deepEqual(await sendSelfRequests({ ...usual, requests: [good], limitMs: 0 }), { done: 0 });
    assert.deepEqual(await sendSelfRequests({ ...usual, requests: [], limitMs: 5_000 }), { done: 0 });
  });
});
