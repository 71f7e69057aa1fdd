/**
 * Local mode's Gateway over real sockets: which backend gets a request, the answer without a backend, and streams.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createObjects } from '../../local/api-server/core.ts';
import { GatewayController } from '../../local/gateway/gateway.ts';
import {
  controllerName,
  gatewayClassesPath,
  gatewaysPath,
  httpRoutesPath,
  type GatewayCondition,
  type StoredGateway,
  type StoredHttpRoute,
} from '../../local/gateway/resources.ts';
import type { Objects } from '../../local/objects.ts';
import { ServiceSlices } from '../../local/router/service-slices.ts';
import { endpointSlicesPath, servicesPath, type StoredService } from '../../local/workloads/resources.ts';
import { eventually } from '../support/eventually.ts';

const port = 18_080;
const apiVersion = 'gateway.networking.k8s.io/v1';
const statusOf = (conditions: readonly GatewayCondition[] | undefined, type: string): string => {
  const found = conditions?.find((one) => one.type === type);
  return `${found?.status} ${found?.reason} ${found?.observedGeneration}`;
};

class World {
  readonly objects: Objects = createObjects({ clock: systemClock });
  readonly slices = new ServiceSlices(this.objects);
  readonly controller = new GatewayController({
    objects: this.objects,
    slices: this.slices,
    clock: systemClock,
    logger: silentLogger,
  });
  readonly servers: Server[] = [];
  address = '';

  async end(): Promise<void> {
    await this.controller.close();
    this.slices.close();
    for (const server of this.servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  /** Makes a Service with one pod that is ready or not ready. */
  async serve(name: string, handler: RequestListener, ready = true): Promise<void> {
    const server = createServer(handler);
    this.servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const target = (server.address() as AddressInfo).port;
    this.objects.create(servicesPath, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'default' },
      spec: { ports: [{ port: 8080 }] },
    });
    this.objects.create(endpointSlicesPath, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ port: target, protocol: 'TCP' }],
      endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready } }],
    });
  }

  async gateway(name: string): Promise<string> {
    this.objects.create(gatewaysPath, {
      apiVersion,
      kind: 'Gateway',
      metadata: { name, namespace: 'default' },
      spec: { gatewayClassName: 'local', listeners: [{ name: 'http', port, protocol: 'HTTP' }] },
    });
    await eventually(`${name} programmed`, () =>
      statusOf(this.gatewayNow(name)?.status?.conditions, 'Programmed').startsWith('True'),
    );
    const { status } = this.gatewayNow(name) as StoredGateway & {
      readonly status: { readonly addresses: readonly { readonly value: string }[] };
    };
    return status.addresses[0]?.value ?? '';
  }

  gatewayNow(name: string): StoredGateway | undefined {
    return this.objects.get({ ...gatewaysPath, namespace: 'default', name }) as StoredGateway | undefined;
  }

  /**
   * Creates or replaces a route of the Gateway `public`. Resolves when the Gateway has accepted the route's new
   * generation.
   */
  async route(name: string, backends: Readonly<Record<string, number>>, more: object = {}): Promise<StoredHttpRoute> {
    const backendRefs = Object.entries(backends).map(([service, weight]) => ({ name: service, port: 8080, weight }));
    const spec = { parentRefs: [{ name: 'public' }], rules: [{ backendRefs }], ...more };
    const stored = this.routeNow(name);
    if (stored === undefined)
      this.objects.create(httpRoutesPath, {
        apiVersion,
        kind: 'HTTPRoute',
        metadata: { name, namespace: 'default' },
        spec,
      });
    else this.objects.update(httpRoutesPath, { ...stored, spec });
    return eventually(`${name} accepted`, () => {
      const route = this.routeNow(name);
      const accepted = route?.status?.parents?.[0]?.conditions.find(({ type }) => type === 'Accepted');
      return accepted !== undefined && accepted.observedGeneration === route?.metadata.generation ? route : undefined;
    });
  }

  routeNow(name: string): StoredHttpRoute | undefined {
    return this.objects.get({ ...httpRoutesPath, namespace: 'default', name }) as StoredHttpRoute | undefined;
  }

  /** Sends one request to the Gateway. */
  async ask(
    path = '/',
    options: { readonly host?: string; readonly agent?: Agent; readonly body?: Buffer } = {},
  ): Promise<{ readonly status: number; readonly body: Buffer; readonly headers: IncomingMessage['headers'] }> {
    const sent = request({
      host: this.address,
      port,
      path,
      method: options.body === undefined ? 'GET' : 'POST',
      agent: options.agent ?? false,
      headers: options.host === undefined ? {} : { host: options.host },
    });
    sent.end(options.body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode ?? 0, body: Buffer.concat(chunks), headers: response.headers };
  }
}

const says =
  (text: string): RequestListener =>
  (_, response) =>
    void response.end(text);

describe('the local gateway', () => {
  let world: World;
  beforeEach(async () => {
    world = new World();
    world.address = await world.gateway('public');
  });
  afterEach(() => world.end());

  it('accepts its class and gives a Gateway an address', () => {
    const [gatewayClass] = world.objects.list(gatewayClassesPath) as readonly (StoredGateway & {
      readonly status: { readonly conditions: readonly GatewayCondition[] };
    })[];
    assert.equal(statusOf(gatewayClass?.status.conditions, 'Accepted'), 'True Accepted 1');
    assert.match(world.address, /^127\.96\./);
    assert.equal(
      (world.objects.get({ ...servicesPath, namespace: 'default', name: 'public-gateway' }) as StoredService).spec
        .clusterIP,
      world.address,
    );
  });

  it('chooses a backend at random for every request, also on one connection', async () => {
    await world.serve('a', says('a'));
    await world.serve('b', says('b'));
    await world.route('r', { a: 80, b: 20 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const answers: string[] = [];
    for (let i = 0; i < 1_000; i += 1) answers.push((await world.ask('/', { agent })).body.toString());
    agent.destroy();
    const share = answers.filter((answer) => answer === 'b').length / answers.length;
    assert.ok(Math.abs(share - 0.2) < 5 * Math.sqrt((0.2 * 0.8) / answers.length), `${share}`);
  });

  it('follows new weights by the time the route is accepted at its generation', async () => {
    await world.serve('a', says('a'));
    await world.serve('b', says('b'));
    const first = await world.route('r', { a: 100, b: 0 });
    const parent = first.status?.parents?.[0];
    assert.deepEqual(
      [parent?.controllerName, statusOf(parent?.conditions, 'Accepted'), statusOf(parent?.conditions, 'ResolvedRefs')],
      [controllerName, 'True Accepted 1', 'True ResolvedRefs 1'],
    );
    assert.equal((await world.ask()).body.toString(), 'a');
    for (const [weights, want] of [
      [{ a: 0, b: 100 }, 'b'],
      [{ a: 100, b: 0 }, 'a'],
    ] as const) {
      await world.route('r', weights);
      assert.deepEqual(
        (await Promise.all(Array.from({ length: 20 }, () => world.ask()))).map(({ body }) => body.toString()),
        Array(20).fill(want),
      );
    }
  });

  it('answers without a backend: 500 without a Service, 503 without a pod, 404 without a route', async () => {
    assert.equal((await world.ask()).status, 404);
    await world.serve('asleep', says('x'), false);
    await world.route('none', { gone: 1 }, { hostnames: ['none.example.com'] });
    await world.route('asleep', { asleep: 1 }, { hostnames: ['asleep.example.com'] });
    await world.route('weightless', { asleep: 0 }, { hostnames: ['weightless.example.com'] });
    const status = async (host: string): Promise<number> => (await world.ask('/', { host })).status;
    assert.deepEqual(
      [
        await status('none.example.com'),
        await status('asleep.example.com:80'),
        await status('weightless.example.com'),
        await status('other.example.com'),
      ],
      [500, 503, 500, 404],
    );
    assert.equal(
      statusOf(world.routeNow('none')?.status?.parents?.[0]?.conditions, 'ResolvedRefs'),
      'False BackendNotFound 1',
    );
  });

  it('resolves a backend as soon as its Service exists', async () => {
    await world.route('r', { late: 1 });
    await world.serve('late', says('here'));
    await eventually(
      'the backend resolved',
      () => statusOf(world.routeNow('r')?.status?.parents?.[0]?.conditions, 'ResolvedRefs') === 'True ResolvedRefs 1',
    );
    assert.equal((await world.ask()).body.toString(), 'here');
  });

  it('forwards large bodies in both directions, and all headers except connection headers', async () => {
    let seen: IncomingMessage['headers'] = {};
    await world.serve('echo', (incoming, response) => {
      seen = incoming.headers;
      response.setHeader('x-answer', 'yes');
      incoming.pipe(response);
    });
    await world.route('r', { echo: 1 });
    const body = Buffer.alloc(8 * 2 ** 20, 'tensor');
    const answer = await world.ask('/v2', { body, host: 'models.example.com' });
    assert.ok(answer.body.equals(body));
    assert.deepEqual(
      [answer.headers['x-answer'], seen.host, seen['x-forwarded-for'], seen.connection],
      ['yes', 'models.example.com', '127.0.0.1', 'close'],
    );
  });

  it('forwards each part of an answer as soon as it arrives', async () => {
    const go = Promise.withResolvers<void>();
    await world.serve('stream', (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n');
      void go.promise.then(() => response.end('data: last\n\n'));
    });
    await world.route('r', { stream: 1 });
    const sent = request({ host: world.address, port, agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const [first] = (await once(response, 'data')) as [Buffer];
    assert.equal(first.toString(), 'data: first\n\n');
    go.resolve();
    const [last] = (await once(response, 'data')) as [Buffer];
    assert.equal(last.toString(), 'data: last\n\n');
  });

  it("closes the pod's connection when the client disconnects, and the client's when the pod dies", async () => {
    const gone = Promise.withResolvers<string>();
    await world.serve('slow', (incoming, response) => {
      if (incoming.url === '/die') {
        response.writeHead(200, { 'content-length': 100 }).write('half');
        setImmediate(() => response.destroy());
        return;
      }
      response.once('close', () => gone.resolve('closed'));
    });
    await world.route('r', { slow: 1 });
    const sent = request({ host: world.address, port, agent: false });
    sent.on('error', () => {});
    sent.end();
    await eventually('the request at the pod', () => world.servers.length === 1 && sent.writableFinished);
    setTimeout(() => sent.destroy(), 50);
    assert.equal(await gone.promise, 'closed');
    await assert.rejects(world.ask('/die'));
  });

  it('reports a port that cannot be bound, and binds it once it is free', async () => {
    const spec = { clusterIP: '127.96.77.7', ports: [{ name: `http-${port}`, port }] };
    world.objects.create(servicesPath, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: {
        name: 'busy-gateway',
        namespace: 'default',
        labels: { 'gateway.networking.k8s.io/gateway-name': 'busy' },
      },
      spec,
    });
    const squatter = createServer(says('mine'));
    squatter.listen(port, '127.96.77.7');
    await once(squatter, 'listening');
    world.objects.create(gatewaysPath, {
      apiVersion,
      kind: 'Gateway',
      metadata: { name: 'busy', namespace: 'default' },
      spec: { gatewayClassName: 'local', listeners: [{ name: 'http', port, protocol: 'HTTP' }] },
    });
    const programmed = (): string => statusOf(world.gatewayNow('busy')?.status?.conditions, 'Programmed');
    await eventually('the trouble told', () => programmed() === 'False AddressNotUsable 1');
    squatter.close();
    await eventually('the port taken', () => programmed() === 'True Programmed 1');
  });

  it('ignores Gateways of other classes', async () => {
    world.objects.create(gatewayClassesPath, {
      apiVersion,
      kind: 'GatewayClass',
      metadata: { name: 'foreign' },
      spec: { controllerName: 'example.com/gateways' },
    });
    world.objects.create(gatewaysPath, {
      apiVersion,
      kind: 'Gateway',
      metadata: { name: 'foreign', namespace: 'default' },
      spec: { gatewayClassName: 'foreign', listeners: [{ name: 'http', port, protocol: 'HTTP' }] },
    });
    await world.route('r', { gone: 1 });
    assert.deepEqual(
      [
        world.gatewayNow('foreign')?.status,
        world.objects.get({ ...servicesPath, namespace: 'default', name: 'foreign-gateway' }),
      ],
      [undefined, undefined],
    );
  });

  it('closes its port with its Gateway', async () => {
    world.objects.delete({ ...gatewaysPath, namespace: 'default', name: 'public' });
    await eventually('the port closed', async () =>
      world.ask().then(
        () => false,
        () => true,
      ),
    );
  });
});
