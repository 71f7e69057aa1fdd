/** Pulls (requests of the operator for pods' reports) over real sockets: healthy pods, and pods that never report. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { createReportClient } from '../../operator/reports/report-client.ts';
import { ReportPuller, type WatchedPod } from '../../operator/reports/puller.ts';
import { eventually } from '../support/eventually.ts';
import { fullReport } from '../support/reports.ts';

const count = 40;
const pods = (prefix: string, subnet: string, number: number): WatchedPod[] =>
  Array.from({ length: number }, (_v, i) => ({
    uid: `${prefix}${i}`,
    name: `${prefix}${i}`,
    ip: `${subnet}.${i + 1}`,
  }));

/** Servers on several loopback addresses, all on one port. */
class Addresses {
  readonly #servers: (Server | net.Server)[] = [];
  readonly #sockets = new Set<net.Socket>();

  async listen(port: number, host: string, server: Server | net.Server): Promise<number> {
    server.on('connection', (socket: net.Socket) => {
      socket.on('error', () => {});
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    server.listen(port, host);
    await once(server, 'listening');
    this.#servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Ways in which pods do not send a report. If `server` is absent, connections are refused. */
// prettier-ignore
const misbehaviour: readonly { readonly name: string; readonly server?: () => Server | net.Server }[] = [
  { name: 'accept and send no answer', server: () => net.createServer() },
  { name: 'reset every connection', server: () => net.createServer((socket) => socket.resetAndDestroy()) },
  { name: 'send their answer byte by byte', server: () => createServer(trickle) },
  { name: 'send headers without end', server:
      () => net.createServer((socket) => { socket.write('HTTP/1.1 200 OK\r\n');
      endlessly(socket, 'x-more: y\r\n'.repeat(500)); }) },
  { name: 'send a body without end', server:
      () => createServer((_request, response) => endlessly(response, Buffer.alloc(1 << 16, '[').toString())) },
  { name: 'refuse connections' },
];

const trickle: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 50);
  response.on('close', () => clearInterval(timer));
};

function endlessly(to: NodeJS.WritableStream, text: string): void {
  const more = (): void => {
    while (to.writable && to.write(text));
  };
  to.on('drain', more).on('error', () => {});
  more();
}

describe('report pulls while another model has hostile pods', () => {
  for (const { name, server } of misbehaviour) {
    it(`receive the report of every healthy pod within a deadline, while ${count} pods ${name}`, async () => {
      const addresses = new Addresses();
      const port = await addresses.listen(
        0,
        '127.2.0.1',
        createServer((_request, response) => response.end(JSON.stringify(fullReport))),
      );
      for (let i = 2; i <= 5; i += 1)
        await addresses.listen(
          port,
          `127.2.0.${i}`,
          createServer((_request, response) => response.end(JSON.stringify(fullReport))),
        );
      for (let i = 1; i <= count && server !== undefined; i += 1)
        await addresses.listen(port, `127.1.0.${i}`, server());
      const client = createReportClient(port);
      const registry = createRegistry();
      const puller = new ReportPuller({ fetch: client.fetch, clock: systemClock, logger: silentLogger, registry });
      try {
        const [hostile, honest] = [pods('e', '127.1.0', count), pods('v', '127.2.0', 5)];
        puller.watch('evil/a', hostile, 'rollout');
        puller.watch('victim/m', honest, 'rollout');
        await eventually('a report of every pod that answers', () =>
          honest.every(({ uid }) => puller.latest(uid) !== undefined),
        );
        // One namespace has at most 4 pulls of silent pods at a time. Only the first 4 may have reached their deadline,
        // so healthy pods did not wait for the hostile ones.
        assert.ok(hostile.filter(({ uid }) => puller.silence(uid) === 'no answer within 2000 ms').length <= 4);
        assert.ok(hostile.every(({ uid }) => puller.latest(uid) === undefined));
        assert.match(await registry.metrics(), /onnx_operator_report_pulls_total\{outcome="Report"\} 5/);
      } finally {
        puller.close();
        client.close();
        addresses.close();
      }
    });
  }
});
