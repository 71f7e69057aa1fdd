/**
 * Deployments, endpoints and the Service router of local mode together, with real processes and connections.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { isPodReady, type StoredPod } from '../../local/kubelet/pod.ts';
import {
  deploymentsPath,
  endpointSlicesPath,
  eventsPath,
  podsPath,
  replicaSetsPath,
  servicesPath,
  type StoredDeployment,
  type EndpointSlice,
  type StoredService,
} from '../../local/workloads/resources.ts';
import { container, LocalWorld } from '../support/local-world.ts';

const env = [
  { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
  { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
];
const serving = container({
  args: ['serve', '8080'],
  env,
  ports: [{ name: 'http', containerPort: 8080 }],
  readinessProbe: { httpGet: { port: 'http', path: '/ready' }, periodSeconds: 1, failureThreshold: 1 },
});

describe('local workloads', () => {
  let world: LocalWorld;
  before(() => {
    world = new LocalWorld();
  });
  after(() => world.end());

  const deploy = (name: string, spec: Record<string, unknown> = {}, template: object = serving): void => {
    const labels = { app: name };
    world.objects.create(deploymentsPath, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: 'default' },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [template], terminationGracePeriodSeconds: 3 } },
        ...spec,
      },
    });
  };
  const deployment = (name: string): StoredDeployment =>
    world.objects.get({ ...deploymentsPath, namespace: 'default', name }) as StoredDeployment;
  const change = (name: string, spec: object): void => {
    const stored = deployment(name);
    world.objects.update(deploymentsPath, { ...stored, spec: { ...stored.spec, ...spec } } as StoredDeployment);
  };
  const until = (
    name: string,
    wanted: (deployment: StoredDeployment) => boolean,
    what: string,
  ): Promise<StoredDeployment> =>
    world.until(deploymentsPath, () => (wanted(deployment(name)) ? deployment(name) : undefined), what);
  const available = (name: string, count: number): Promise<StoredDeployment> =>
    until(
      name,
      ({ status, metadata }) =>
        status?.observedGeneration === metadata.generation &&
        status?.availableReplicas === count &&
        status.updatedReplicas === count &&
        status.replicas === count,
      `${name} to have ${count}`,
    );
  const podsOf = (name: string): readonly StoredPod[] =>
    world.objects.list(podsPath, { namespace: 'default', labels: { app: name } }) as readonly StoredPod[];
  const conditions = (one: StoredDeployment): Record<string, string> =>
    Object.fromEntries((one.status?.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]));

  /** One request on a connection of its own. */
  const ask = (service: StoredService, path = '/'): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: service.spec.clusterIP, port: 8080, path, agent: false }, (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (part: string) => (text += part))
          .on('end', () => resolve(text))
          .on('error', reject);
      });
      sent.on('error', reject).end();
    });

  it('starts and scales a Deployment, and reports this in its conditions', async () => {
    deploy('scaled');
    assert.deepEqual(conditions(await available('scaled', 2)), {
      Available: 'True MinimumReplicasAvailable',
      Progressing: 'True NewReplicaSetAvailable',
    });
    change('scaled', { replicas: 3 });
    await available('scaled', 3);
    change('scaled', { replicas: 1 });
    await available('scaled', 1);
    change('scaled', { replicas: 0 });
    await available('scaled', 0);
    world.objects.delete({ ...deploymentsPath, namespace: 'default', name: 'scaled' }, { propagation: 'Background' });
    await world.until(
      replicaSetsPath,
      () => (world.objects.list(replicaSetsPath, { labels: { app: 'scaled' } }).length === 0 ? true : undefined),
      'the ReplicaSets to be collected',
    );
  });

  it('updates a Deployment behind its Service without a failed request', async () => {
    deploy('rolled', { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } });
    const service = world.createService('rolled', { app: 'rolled' }, 'http');
    const first = new Set((await available('rolled', 2)) && podsOf('rolled').map((pod) => pod.metadata.name));
    const rolling = { on: true };
    let answered = 0;
    let fewest = 2;
    const client = (async () => {
      while (rolling.on) {
        await ask(service);
        answered += 1;
        fewest = Math.min(
          fewest,
          podsOf('rolled').filter((pod) => isPodReady(pod) && pod.metadata.deletionTimestamp === undefined).length,
        );
      }
    })();
    const { template } = deployment('rolled').spec;
    change('rolled', { template: { ...template, metadata: { ...template.metadata, annotations: { version: '2' } } } });
    const after = await available('rolled', 2);
    await world.until(
      podsPath,
      () => (podsOf('rolled').some((pod) => first.has(pod.metadata.name)) ? undefined : true),
      'the old pods to be gone',
    );
    rolling.on = false;
    await client;
    assert.ok(answered > 0);
    assert.equal(fewest, 2, 'fewer pods than wanted were ready on the way');
    assert.equal(after.metadata.annotations?.['deployment.kubernetes.io/revision'], '2');
    const sets = world.objects.list(replicaSetsPath, { labels: { app: 'rolled' } });
    assert.deepEqual(
      sets.map((set) => (set['spec'] as { replicas: number }).replicas).sort((a, b) => a - b),
      [0, 2],
    );
  });

  it('ends all old pods before the first new one with Recreate', async () => {
    deploy('recreated', { replicas: 1, strategy: { type: 'Recreate' } });
    await available('recreated', 1);
    let most = 1;
    const stop = world.objects.watch(podsPath, () => (most = Math.max(most, podsOf('recreated').length)));
    const { template } = deployment('recreated').spec;
    const before = podsOf('recreated')[0]?.metadata.name;
    change('recreated', {
      template: { ...template, metadata: { ...template.metadata, annotations: { version: '2' } } },
    });
    await world.until(
      podsPath,
      () => (podsOf('recreated').some((pod) => isPodReady(pod) && pod.metadata.name !== before) ? true : undefined),
      'the new pod',
    );
    stop();
    assert.equal(most, 1);
  });

  it('reports a Deployment without progress within its deadline', async () => {
    deploy(
      'stuck',
      {
        replicas: 1,
        progressDeadlineSeconds: 1,
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      },
      container({ image: 'nowhere.example/none:1' }),
    );
    const late = await until(
      'stuck',
      (one) => conditions(one)['Progressing']?.startsWith('False') === true,
      'the deadline',
    );
    assert.deepEqual(conditions(late), {
      Available: 'False MinimumReplicasUnavailable',
      Progressing: 'False ProgressDeadlineExceeded',
    });
  });

  it('replaces a pod that is deleted', async () => {
    const [victim] = podsOf('rolled');
    assert.ok(victim !== undefined);
    world.objects.delete({ ...podsPath, namespace: 'default', name: victim.metadata.name });
    await world.until(
      podsPath,
      () =>
        podsOf('rolled').filter((pod) => pod.metadata.name !== victim.metadata.name && isPodReady(pod)).length === 2
          ? true
          : undefined,
      'a new pod',
    );
  });

  it('sends new connections to ready pods only and spreads them', async () => {
    deploy('spread');
    const service = world.createService('spread', { app: 'spread' });
    await available('spread', 2);
    const asked = new Set<string>();
    for (let tries = 0; tries < 60; tries += 1) asked.add(await ask(service));
    assert.equal(asked.size, 2, 'one pod of two got all 60 connections');
    const [one, other] = podsOf('spread');
    assert.ok(one?.status?.podIP !== undefined && other !== undefined);
    await fetch(`http://${one.status.podIP}:8080/be-unready`);
    await world.podUntil(one.metadata.name, (pod) => !isPodReady(pod), 'the pod to be unready');
    await world.until(
      endpointSlicesPath,
      () => (slice('spread').endpoints.filter((end) => end.conditions.ready === true).length === 1 ? true : undefined),
      'the slice to say so',
    );
    for (let tries = 0; tries < 20; tries += 1) assert.equal(await ask(service), other.metadata.name);
  });

  const slice = (service: string): EndpointSlice =>
    world.objects.list(endpointSlicesPath, { labels: { 'kubernetes.io/service-name': service } })[0] as EndpointSlice;

  it('tries another pod when one refuses the connection', async () => {
    // The second pod counts as ready, because it has no probe, but no process listens in it.
    deploy('half', { replicas: 1 });
    world.createPod('half-dead', [{ args: ['stay'] }], {}, { app: 'half' });
    const service = world.createService('half', { app: 'half' });
    await available('half', 1);
    await world.podUntil('half-dead', isPodReady, 'the silent pod');
    await world.until(
      endpointSlicesPath,
      () => (slice('half')?.endpoints.length === 2 ? true : undefined),
      'two endpoints',
    );
    for (let tries = 0; tries < 20; tries += 1) assert.match(await ask(service), /^half-/);
  });

  it('resets a connection to a Service without pods', async () => {
    const service = world.createService('empty', { app: 'absent' });
    const refused = async (): Promise<string> =>
      ask(service).then(
        () => 'answered',
        (error: unknown) => (error as NodeJS.ErrnoException).code ?? 'unknown',
      );
    // Connections to the address are refused until the router listens.
    let outcome = await refused();
    for (let tries = 0; tries < 100 && outcome === 'ECONNREFUSED'; tries += 1) outcome = await refused();
    assert.equal(outcome, 'ECONNRESET');
  });

  it('keeps a connection open while its pod terminates', async () => {
    deploy('leaving', { replicas: 1 });
    const service = world.createService('leaving', { app: 'leaving' });
    await available('leaving', 1);
    const slow = ask(service, '/slow');
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const pod of podsOf('leaving'))
      world.objects.delete({ ...podsPath, namespace: 'default', name: pod.metadata.name });
    assert.equal(await slow, 'slow');
  });

  it('forwards a half-closed connection', async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const { port } = echo.address() as { port: number };
    const service = world.objects.create(servicesPath, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'echo', namespace: 'default' },
      spec: { ports: [{ port: 7000 }] },
    }) as StoredService;
    world.objects.create(endpointSlicesPath, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'echo', namespace: 'default', labels: { 'kubernetes.io/service-name': 'echo' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
      ports: [{ port, protocol: 'TCP' }],
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const heard = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect({ host: service.spec.clusterIP ?? '', port: 7000, allowHalfOpen: true }, () =>
        socket.end('all of it'),
      );
      socket
        .setEncoding('utf8')
        .on('data', (part: string) => (text += part))
        .on('end', () => resolve(text))
        .on('error', reject);
    });
    assert.equal(heard, 'all of it');
    await new Promise((resolve) => echo.close(resolve));
  });

  it('reports a port that it cannot bind, and continues', async () => {
    // Use an address that only this test run uses, because another run may be in progress on this machine.
    const address = `127.97.${process.pid % 250}.${1 + (process.hrtime()[1] % 250)}`;
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(8080, address, resolve));
    world.objects.create(servicesPath, {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'squatted', namespace: 'default' },
      spec: { clusterIP: address, selector: { app: 'absent' }, ports: [{ port: 8080 }] },
    });
    await world.until(
      eventsPath,
      () => world.objects.list(eventsPath).find((event) => event['reason'] === 'FailedToBindPort'),
      'the event',
    );
    await new Promise((resolve) => squatter.close(resolve));
  });
});
