/** Failures that a client can cause count as errors of the client, over HTTP and in the candidate's gates. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Traffic } from '../../api/report.ts';
import { countsAgainstRevision } from '../../api/outcomes.ts';
import { body, endAll, gated, infer, until } from '../support/gated-server.ts';
import { ask, jsonOf, type Ask } from '../support/infer-client.ts';
import type { RunningServer } from '../support/model-server.ts';

async function errorsOf(running: RunningServer): Promise<Readonly<Record<string, number>>> {
  const { traffic } = jsonOf(await ask(running.debugUrl, '/counters')) as { readonly traffic: readonly Traffic[] };
  const sums = new Map<string, number>();
  for (const { errors } of traffic)
    for (const [kind, count] of Object.entries(errors)) sums.set(kind, (sums.get(kind) ?? 0) + count);
  return Object.fromEntries(sums);
}

// prettier-ignore
const rows: readonly { readonly name: string; readonly request: Ask;
  readonly status: number; readonly kind: string }[] = [
  { name: 'a deadline of a microsecond', request: { body,
      headers: { 'x-request-timeout-ms': '0.001' } }, status: 504, kind: 'clientDeadline' },
  { name: 'a deadline of 20 ms', request: { body,
      headers: { 'x-request-timeout-ms': '20' } }, status: 504, kind: 'clientDeadline' },
  { name: 'a deadline in the body', request: {
      body: JSON.stringify({ ...(JSON.parse(body) as object),
      parameters: { timeout: 1 } }) }, status: 504, kind: 'clientDeadline' },
  { name: 'an unknown Content-Encoding', request: { body,
      headers: { 'content-encoding': '__proto__' } }, status: 400, kind: 'invalid' },
  { name: 'a body that is not JSON', request: { body: '{"inputs":' }, status: 400, kind: 'invalid' },
  { name: 'a body that is not gzip', request: { body,
      headers: { 'content-encoding': 'gzip' } }, status: 400, kind: 'invalid' },
  { name: 'an invalid deadline', request: { body,
      headers: { 'x-request-timeout-ms': '-1' } }, status: 400, kind: 'invalid' },
];

describe('failures that a client chooses', () => {
  afterEach(endAll);

  for (const { name, request, status, kind } of rows) {
    it(`count as the client's: ${name}`, async () => {
      const { gate, running, call } = await gated();
      const seen = await call(request);
      assert.deepEqual([seen.status, await errorsOf(running)], [status, { [kind]: 1 }]);
      assert.equal(countsAgainstRevision(kind), false);
      gate.letGo();
      await running.end();
    });
  }

  it('are answered at the deadline although the run continues', async () => {
    const { gate, running, call } = await gated();
    const answered = call({ body, headers: { 'x-request-timeout-ms': '50' } });
    await gate.arrival();
    assert.deepEqual([(await answered).status, gate.engine.batches.length > 0], [504, true]);
    gate.letGo();
    const again = await call();
    assert.equal(again.status, 200);
    await running.end();
  });

  it('are not counted when the connection breaks during the body', async () => {
    const { running } = await gated();
    for (const rest of ['', 'Transfer-Encoding: chunked\r\n']) {
      const socket = connect(running.server.port, '127.0.0.1');
      await new Promise((resolve) => socket.on('connect', resolve));
      socket.write(
        `POST ${infer} HTTP/1.1\r\nHost: m\r\n${rest === '' ? 'Content-Length: 100\r\n' : rest}\r\n` +
          `${rest === '' ? '{"in' : '4\r\n{"in\r\nzz\r\n'}`,
      );
      await until(() => running.server.port > 0 && socket.bytesWritten > 0);
      socket.destroy();
    }
    await until(async () => (await ask(running.debugUrl, '/metrics')).body.toString().includes('reason="CLIENT_GONE"'));
    assert.deepEqual(await errorsOf(running), {});
    await running.end();
  });
});
