/** Which clients may forward ports to which pods. A client that breaks the protocol must not affect other clients. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { Duplex } from 'node:stream';
import { systemClock } from '../../../../../lib/clock.ts';
import { silentLogger } from '../../../../../lib/log.ts';
import { startApiServer, type LocalApiServer } from '../../../../../local/api-server/server.ts';
import type { StoredObject } from '../../../../../local/objects.ts';

const pods = { apiVersion: 'v1', plural: 'pods' };

function create(server: LocalApiServer, name: string): StoredObject {
  return server.objects.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  });
}

/** A pod with the status that the kubelet writes. */
function run(server: LocalApiServer, name: string): void {
  server.objects.updateStatus(pods, { ...create(server, name), status: { phase: 'Running', podIP: '127.0.0.1' } });
}

describe('port-forward', () => {
  let server: LocalApiServer;
  before(async () => {
    server = await startApiServer({ clock: systemClock, logger: silentLogger });
    create(server, 'waits');
    run(server, 'runs');
  });
  after(() => server.close());

  type Asking = { readonly token?: string; readonly upgrade?: string; readonly protocol?: string };
  type Answer = { readonly status: number; readonly message: string; readonly socket: Duplex | undefined };

  const ask = async (
    name: string,
    { token = server.token, upgrade = 'SPDY/3.1', protocol = 'portforward.k8s.io' }: Asking = {},
  ): Promise<Answer> => {
    const headers = {
      authorization: `Bearer ${token}`,
      connection: 'Upgrade',
      upgrade,
      'x-stream-protocol-version': protocol,
    };
    const asked = request(`${server.url}/api/v1/namespaces/default/pods/${name}/portforward`, {
      method: 'POST',
      headers,
      ca: server.certificate,
      agent: false,
    });
    asked.end();
    const [kind, [answer, socket]] = (await Promise.race([
      once(asked, 'upgrade').then((args) => ['upgrade', args] as const),
      once(asked, 'response').then((args) => ['response', args] as const),
    ])) as [string, [IncomingMessage, Duplex]];
    if (kind === 'upgrade') return { status: answer.statusCode ?? 0, message: '', socket };
    const text = Buffer.concat((await answer.toArray()) as Buffer[]).toString();
    return {
      status: answer.statusCode ?? 0,
      message: (JSON.parse(text) as { message: string }).message,
      socket: undefined,
    };
  };

  // prettier-ignore
  const rows: readonly { readonly name: string; readonly pod: string;
    readonly asking?: Asking; readonly want: readonly [number, RegExp] }[] = [
    { name: 'is refused without the token', pod: 'runs', asking: { token: 'wrong' }, want: [401, /^Unauthorized$/] },
    { name: 'is refused for a missing pod', pod: 'none', want: [404, /^pods "none" not found$/] },
    { name: 'is refused for a pod that does not run', pod: 'waits', want: [400, /^pod "waits" is not running$/] },
    { name: 'is refused for another protocol over SPDY', pod: 'runs',
      asking: { protocol: 'other' }, want: [400,
        /unable to negotiate protocol: client supports \[other\], server supports \[portforward\.k8s\.io\]/] },
    { name: 'is refused over WebSockets, so that the client falls back to SPDY', pod: 'runs',
      asking: { upgrade: 'websocket' }, want: [400, /^ports are forwarded over SPDY\/3\.1 only$/] },
  ];
  for (const { name, pod, asking, want } of rows) {
    it(name, async () => {
      const { status, message } = await ask(pod, asking);
      assert.equal(status, want[0]);
      assert.match(message, want[1]);
    });
  }

  it('closes the connection of a client that sends no frames', async () => {
    const { status, socket } = await ask('runs');
    assert.equal(status, 101);
    assert.ok(socket !== undefined);
    socket.on('error', () => {});
    socket.write(Buffer.alloc(64, 0xff));
    await once(socket.resume(), 'close');
  });

  it('ends with the server', async () => {
    const own = await startApiServer({ clock: systemClock, logger: silentLogger });
    const shared = server;
    server = own;
    try {
      run(own, 'runs');
      const { socket } = await ask('runs');
      assert.ok(socket !== undefined);
      socket.on('error', () => {});
      const closed = once(socket.resume(), 'close');
      await own.close();
      await closed;
    } finally {
      server = shared;
    }
  });
});
