/**
 * The roles of the chart against the requests that the operator sends: a real API server with RBAC and an audit log,
 * the chart installed by the real Helm, and the operator with the token of the chart's service account.
 *
 * Limits: pods and their reports are the test's own, because there are no nodes. Skipped without KUBEBUILDER_ASSETS.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { loadAccess } from '../../kube/client/access.ts';
import { HttpKubeClient } from '../../kube/client/http-client.ts';
import { EventRecorder } from '../../kube/events/events.ts';
import { permissions } from '../../kube/permissions.ts';
import { kubeTool, kubeToolsRunHere } from '../../scripts/kubectl.ts';
import { installGatewayApi } from '../conformance/kube/gateway-api.ts';
import { GatewayPart } from '../conformance/drift/gateway.ts';
import { DriftWorld } from '../conformance/drift/world.ts';
import { eventually } from '../support/eventually.ts';
import { chartFolder, helm, repositoryRoot } from '../support/helm.ts';
import { RealApiServer } from '../support/real-api-server.ts';

type AuditLine = {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly apiGroup?: string; readonly resource: string; readonly subresource?: string };
  readonly responseStatus?: { readonly code: number };
  readonly requestURI: string;
};

const release = { namespace: 'onnx-system', name: 'onnx-operator' };
const spec = { model: { uri: 'https://models.example/m.onnx' }, memory: { limit: '512Mi' }, revisionHistoryLimit: 1 };
const revision = (n: number): object => ({ ...spec, model: { uri: `https://models.example/m${n}.onnx` } });
const immediate = { rollout: { strategy: 'Immediate' } };
const assets = process.env['KUBEBUILDER_ASSETS'] ?? '';

(assets !== '' && kubeToolsRunHere ? describe : describe.skip)('the roles of the chart (KUBEBUILDER_ASSETS)', () => {
  let server: RealApiServer;
  let world: DriftWorld;
  let gateway: GatewayPart;
  const tokens = new Map<string, string>();

  const operatorConfig = (account: string): string =>
    server.kubeconfigFor(`https://127.0.0.1:${server.port}`, tokens.get(account));

  /** Installs the chart without pods, and gets a token of its service account. */
  async function install(name: string, namespaces: readonly string[], more: readonly string[] = []): Promise<string> {
    const values = [
      'image.repository=o',
      'runtimeImage.repository=r',
      'replicas=0',
      'crds.install=false',
      `fullnameOverride=${name}`,
      ...more,
    ];
    if (namespaces.length > 0) values.push(`watchNamespaces={${namespaces.join(',')}}`, 'rbac.aggregate=false');
    const sets = values.flatMap((value) => ['--set', value]);
    const answer = helm(
      ['upgrade', '--install', name, chartFolder, '--namespace', release.namespace, '--create-namespace', ...sets],
      server.kubeconfig,
    );
    assert.equal(answer.code, 0, answer.err);
    const account = namespaces.length === 0 ? name : `${name}-${namespaces[0] ?? ''}`;
    const path = `/api/v1/namespaces/${release.namespace}/serviceaccounts/${account}/token`;
    const { body } = await world.api.post(path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {},
    });
    tokens.set(account, body.status.token as string);
    return account;
  }

  function asked(account: string): readonly AuditLine[] {
    const user = `system:serviceaccount:${release.namespace}:${account}`;
    return readFileSync(server.auditLog, 'utf8')
      .split('\n')
      .filter((line) => line.includes(user))
      .map((line) => JSON.parse(line) as AuditLine)
      .filter((line) => line.user.username === user);
  }

  before(async () => {
    server = await RealApiServer.start(assets);
    let account = '';
    world = new DriftWorld(readFileSync(server.kubeconfig, 'utf8'), 300, 'runtime:1', () => operatorConfig(account));
    await world.open(async () => {
      await installGatewayApi(world.api, 'whole');
      account = await install('narrow', [world.namespace]);
    });
    gateway = new GatewayPart(world.api, world.namespace, 'public');
    await gateway.open();
  });
  after(async () => {
    await gateway?.close();
    await world?.close();
    await server?.stop();
  });

  /** Runs the operator's process until it leads, then ends it. */
  async function leadOnce(account: string, flags: readonly string[]): Promise<void> {
    const file = join(dirname(server.kubeconfig), `${account}.kubeconfig`);
    writeFileSync(file, operatorConfig(account), { mode: 0o600 });
    const args = ['--kubeconfig', file, '--runtime-image', 'runtime:1', '--listen', 'off', ...flags];
    const child = spawn(process.execPath, ['operator/main.ts', ...args], {
      cwd: repositoryRoot,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
    const exited = once(child, 'exit');
    await eventually('the operator to be ready', () => {
      assert.equal(child.exitCode, null, said);
      return said.includes('operator ready');
    });
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [0, null], said);
  }

  /** Other writers take our fields away, so that the operator reads the object and applies all of it. */
  async function spoil(model: string, hash: string): Promise<void> {
    const children = [
      ['v1', 'services', `${model}-${hash}`],
      ['v1', 'configmaps', `${model}-${hash}`],
      ['apps/v1', 'deployments', `${model}-${hash}`],
      ['apps/v1', 'controllerrevisions', `${model}-${hash}`],
      ['gateway.networking.k8s.io/v1', 'httproutes', model],
    ] as const;
    for (const [api, plural, name] of children) {
      const gone = [{ op: 'remove', path: '/metadata/labels/onnx-operator.dev~1model' }];
      const { status, text } = await world.change(world.path(api, plural, name), gone);
      assert.equal(status, 200, text);
    }
    await world.quiet();
  }

  /** Event number two of the same thing counts the first one up. */
  async function repeatAnEvent(account: string): Promise<void> {
    const file = join(dirname(server.kubeconfig), `${account}.kubeconfig`);
    const registry = createRegistry();
    const access = await loadAccess({ kubeconfig: file }, systemClock);
    const client = new HttpKubeClient({ access, clock: systemClock, registry, name: 'onnx-operator' });
    const events = new EventRecorder({
      client,
      clock: systemClock,
      registry,
      logger: silentLogger,
      controller: 'onnx-operator.dev/operator',
      instance: 'test',
    });
    const about = await world.model('ranker');
    const happening = { about, type: 'Normal', reason: 'Tested', action: 'Test', note: 'the same again' } as const;
    const written = (): number => asked(account).filter((line) => line.objectRef?.resource === 'events').length;
    const before = written();
    events.say(happening);
    await eventually('the first Event', () => written() > before);
    events.say(happening);
    await events.close(5000);
    await client.close();
  }

  it('permit exactly what a life of models needs in one namespace', async () => {
    const account = `narrow-${world.namespace}`;
    const parentRefs = [{ name: 'public' }];
    const routed = { traffic: { router: 'HTTPRoute', parentRefs, hostnames: ['a.example'] } };
    await world.serve('ranker', { ...revision(1), ...immediate });
    const hash = await world.serve('routed', { ...revision(1), ...routed });
    await spoil('routed', hash);
    await world.ask('routed', { ...revision(1), traffic: { router: 'Service' } });
    await world.quiet();
    for (const n of [2, 3]) {
      await world.ask('ranker', { ...revision(n), ...immediate });
      await world.bringUp('ranker', (status) => status?.candidate?.revision as string | undefined);
      await eventually('the promotion', async () => (await world.model('ranker')).status?.candidate === undefined);
      await world.quiet();
    }
    const shared = { replicas: 1, rollout: { strategy: 'Canary', steps: [{ weight: 50 }, { pause: {} }] } };
    await world.serve('shared', { ...revision(1), ...shared });
    await world.ask('shared', { ...revision(2), ...shared });
    await world.bringUp('shared', (status) => status?.candidate?.revision as string | undefined);
    await eventually('marked pods', () =>
      asked(account).some(({ verb, objectRef }) => verb === 'patch' && objectRef?.resource === 'pods'),
    );
    await leadOnce(account, ['--namespace', world.namespace, '--lease-namespace', world.namespace]);
    await repeatAnEvent(account);

    const lines = asked(account);
    const refused = lines.filter((line) => line.responseStatus?.code === 403);
    assert.deepEqual(
      refused.map((line) => `${line.verb} ${line.requestURI}`),
      [],
    );
    const used = new Set(
      lines.flatMap(({ verb, objectRef }) => {
        if (objectRef === undefined) return [];
        const { apiGroup = '', resource, subresource } = objectRef;
        return [`${apiGroup} ${subresource === undefined ? resource : `${resource}/${subresource}`} ${verb}`];
      }),
    );
    const permitted = permissions
      .filter(({ isOnlyChecked }) => isOnlyChecked !== true)
      .flatMap(({ group, resource, verbs }) => verbs.map((verb) => `${group} ${resource} ${verb}`));
    assert.deepEqual([...used].sort(), permitted.sort());
  });

  it('refuse an intent of a user without the right to it, under the policy', async () => {
    await install('strict', [], ['intentsPolicy.enabled=true']);
    // No controller aggregates roles here, so the user gets the chart's own part of edit.
    // kubectl reads the object before it patches it, so the user needs view, too.
    for (const part of ['view', 'edit']) {
      const { status, text } = await world.api.post(world.path('rbac.authorization.k8s.io/v1', 'rolebindings'), {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: `editor-${part}` },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: `strict-${part}` },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'editor' }],
      });
      assert.equal(status, 201, text);
    }
    const patchAs = (patch: string): string => {
      const flags = ['--kubeconfig', server.kubeconfig, '--as', 'editor', '--namespace', world.namespace];
      const args = [...flags, 'patch', 'onnxmodel', 'shared', '--type', 'merge', '-p', patch];
      return spawnSync(kubeTool('kubectl'), args, { encoding: 'utf8' }).stderr;
    };
    // Until the policy is in force the patch succeeds; each try changes the token.
    let tries = 0;
    await eventually('the policy to be in force', () =>
      /retryToken changed, and you may not/.test(patchAs(`{"spec":{"rollout":{"retryToken":"${(tries += 1)}"}}}`)),
    );
    assert.match(patchAs('{"spec":{"rollout":{"pinRevision":"0123456789"}}}'), /pinRevision changed/);
    assert.equal(patchAs('{"spec":{"replicas":2}}'), '');
  });

  it('let the operator of all namespaces lead', async () => {
    const account = await install('wide', []);
    await leadOnce(account, ['--lease-namespace', release.namespace]);
    assert.deepEqual(
      asked(account).filter((line) => line.responseStatus?.code === 403),
      [],
    );
  });
});
