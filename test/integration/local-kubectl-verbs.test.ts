/** Runs the common commands of kubectl 1.34 and 1.35, and of Helm, against local mode's API server. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { startApiServer, type LocalApiServer } from '../../local/api-server/server.ts';
import { kubeTool, type KubeVersion } from '../../scripts/kubectl.ts';
import { eventually } from '../support/eventually.ts';
import { onBothKubectls, type Ends } from '../support/both-kubectls.ts';
import { Kubectl } from '../support/kubectl.ts';

const definition = readFileSync(new URL('../../crds/onnxmodels.yaml', import.meta.url), 'utf8');

const container = (env: object, image = 'x:1'): object => ({
  name: 'main',
  image,
  env: Object.entries(env).map(([name, value]) => ({ name, value: String(value) })),
});
const deployment = (containers: readonly object[], replicas = 0): string =>
  JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers } },
    },
  });
const model = (name: string, spec: object = {}): string =>
  JSON.stringify({
    apiVersion: 'onnx-operator.dev/v1alpha1',
    kind: 'OnnxModel',
    metadata: { name },
    spec: { model: { uri: 'https://models.invalid/a.onnx', digest: `sha256:${'a'.repeat(64)}` }, replicas: 1, ...spec },
  });

type Target = { readonly server: LocalApiServer; readonly kubectl: Kubectl; readonly version: KubeVersion };

async function prepare(version: KubeVersion, ends: Ends): Promise<Target> {
  const server = await startApiServer({ clock: systemClock, logger: silentLogger });
  const folder = mkdtempSync(join(tmpdir(), 'local-verbs-'));
  ends.push(
    () => server.close(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  writeFileSync(join(folder, 'kubeconfig'), server.kubeconfig(), { mode: 0o600 });
  const kubectl = new Kubectl(version, folder);
  await kubectl.ok(['create', 'namespace', 'work']);
  await kubectl.ok(['create', '-f', '-'], definition);
  await kubectl.ok(['wait', '--for=condition=Established', 'crd/onnxmodels.onnx-operator.dev', '--timeout=10s']);
  // api-resources reads the list of types again. Other commands would use the list that kubectl cached before the
  // definition existed.
  await kubectl.ok(['api-resources', '-o', 'name']);
  return { server, kubectl, version };
}

/** A port of the loopback interface on which no process listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('common kubectl commands', function () {
  const { each, targets, ends } = onBothKubectls(prepare);

  each('apply works on the client, then on the server, then on the client again', async ({ kubectl }) => {
    const env = (): Promise<string> =>
      kubectl.ok([
        'get',
        'deploy',
        'web',
        '-o',
        'jsonpath={range .spec.template.spec.containers[*]}{.name}:{.env[*].value};{end}',
      ]);
    const side = { name: 'side', image: 'y:1' };
    await kubectl.ok(['apply', '-f', '-'], deployment([container({ a: 1, b: 2 }), side]));
    assert.equal(
      await kubectl.ok(['apply', '--server-side', '-f', '-'], deployment([container({ a: 1, b: 3 }), side])),
      'deployment.apps/web serverside-applied\n',
    );
    assert.equal(await env(), 'main:1 3;side:;');
    assert.equal(
      await kubectl.ok(['apply', '-f', '-'], deployment([container({ b: 4 })])),
      'deployment.apps/web configured\n',
    );
    assert.equal(await env(), 'main:4;');
    assert.match(await kubectl.ok(['apply', 'view-last-applied', 'deploy/web']), /value: "4"/);
  });

  each('diff shows what an apply would change, also by its exit code', async ({ kubectl }) => {
    await kubectl.ok(['apply', '-f', '-'], model('differs'));
    const { code, out } = await kubectl.run(['diff', '-f', '-'], model('differs', { replicas: 2 }));
    assert.deepEqual([code, /^- {2}replicas: 1$/m.test(out), /^\+ {2}replicas: 2$/m.test(out)], [1, true, true]);
    assert.equal((await kubectl.run(['diff', '-f', '-'], model('differs'))).code, 0);
  });

  each('create makes objects from flags, and exposes them', async ({ kubectl }) => {
    assert.equal(
      await kubectl.ok([
        'create',
        'deployment',
        'made',
        '--image=a:1',
        '--replicas=0',
        '--port=8080',
        '--',
        'run',
        'it',
      ]),
      'deployment.apps/made created\n',
    );
    assert.equal(
      await kubectl.ok([
        'get',
        'deploy',
        'made',
        '-o',
        'jsonpath={.spec.replicas} {.spec.template.spec.containers[0].command}',
      ]),
      '0 ["run","it"]',
    );
    assert.equal(
      await kubectl.ok(['create', 'service', 'clusterip', 'made', '--tcp=80:http']),
      'service/made created\n',
    );
    assert.equal(
      await kubectl.ok(['expose', 'deployment/made', '--name=exposed', '--port=80']),
      'service/exposed exposed\n',
    );
    assert.match(
      await kubectl.ok(['get', 'svc', '-o', 'wide']),
      /^exposed +ClusterIP +127\.\S+ +<none> +80\/TCP +\d+s +app=made\nmade +ClusterIP/m,
    );
    assert.equal(await kubectl.ok(['run', 'once', '--image=a:1', '--restart=Never', '--', 'x']), 'pod/once created\n');
    assert.match(
      (await kubectl.run(['create', 'deployment', 'made', '--image=a:1'])).err,
      /deployments\.apps "made" already exists/,
    );
    assert.match(
      (await kubectl.run(['create', 'job', 'made', '--image=a:1'])).err,
      /local mode does not serve jobs of batch\/v1/,
    );
  });

  each('set, patch, annotate and replace change them', async ({ kubectl }) => {
    await kubectl.ok(['create', 'deployment', 'changed', '--image=a:1', '--replicas=0']);
    assert.equal(
      await kubectl.ok(['set', 'image', 'deploy/changed', 'a=a:2']),
      'deployment.apps/changed image updated\n',
    );
    assert.equal(await kubectl.ok(['set', 'env', 'deploy/changed', 'A=1']), 'deployment.apps/changed env updated\n');
    await kubectl.ok([
      'patch',
      'deploy',
      'changed',
      '-p',
      '{"spec":{"template":{"spec":{"containers":[{"name":"a","env":[{"name":"B","value":"2"}]}]}}}}',
    ]);
    await kubectl.ok([
      'patch',
      'deploy',
      'changed',
      '--type=json',
      '-p',
      '[{"op":"replace","path":"/spec/template/spec/containers/0/env/0/value","value":"3"}]',
    ]);
    assert.equal(
      await kubectl.ok([
        'get',
        'deploy',
        'changed',
        '-o',
        'jsonpath={.spec.template.spec.containers[0].image} {.spec.template.spec.containers[0].env[*].value}',
      ]),
      'a:2 3 1',
    );
    await kubectl.ok(['apply', '-f', '-'], model('changed'));
    assert.match(
      (await kubectl.run(['patch', 'onnxmodel', 'changed', '-p', '{"spec":{"replicas":2}}'])).err,
      /application\/strategic-merge-patch\+json is not supported|UnsupportedMediaType/,
    );
    assert.equal(
      await kubectl.ok(['annotate', 'om/changed', 'note=hello']),
      'onnxmodel.onnx-operator.dev/changed annotated\n',
    );
    assert.match(
      (await kubectl.run(['annotate', 'om/changed', 'note=other'])).err,
      /--overwrite is false but found the following declared annotation\(s\)/,
    );
    assert.equal(
      await kubectl.ok(['replace', '-f', '-'], model('changed', { replicas: 3 })),
      'onnxmodel.onnx-operator.dev/changed replaced\n',
    );
    assert.equal(
      await kubectl.ok(['get', 'om', 'changed', '-o', 'jsonpath={.spec.replicas}{.metadata.annotations}']),
      '3',
    );
  });

  each('edit saves the edited text, and keeps a copy of a refused text', async ({ kubectl }) => {
    await kubectl.ok(['apply', '-f', '-'], model('edited'));
    const editor = (name: string, change: string): string => {
      const path = join(kubectl.folder, name);
      writeFileSync(path, `#!/bin/sh\nsed -i '${change}' "$1"\n`);
      chmodSync(path, 0o755);
      return path;
    };
    const good = await kubectl.run(['edit', 'om/edited'], '', editor('good', 's/replicas: 1/replicas: 2/'));
    assert.deepEqual([good.code, good.out], [0, 'onnxmodel.onnx-operator.dev/edited edited\n'], good.err);
    const bad = await kubectl.run(['edit', 'om/edited'], '', editor('bad', 's/replicas: 2/replicas: many/'));
    assert.equal(bad.code, 1);
    assert.match(bad.err, /onnxmodels\.onnx-operator\.dev "edited" is invalid/);
    rmSync(/stored to "([^"]+)"/.exec(bad.err)?.[1] ?? '', { force: true });
    assert.equal(await kubectl.ok(['get', 'om', 'edited', '-o', 'jsonpath={.spec.replicas}']), '2');
  });

  each('get prints every output format, and supports selectors', async ({ kubectl }) => {
    await kubectl.ok(['create', 'configmap', 'one', '--from-literal=a=1']);
    await kubectl.ok(['create', 'configmap', 'two', '--from-literal=a=2']);
    await kubectl.ok(['label', 'cm/one', 'cm/two', 'kind=test']);
    await kubectl.ok(['label', 'cm/two', 'tier=back']);
    const get = (...args: string[]): Promise<string> => kubectl.ok(['get', 'cm', ...args]);
    assert.equal(await get('-l', 'kind=test', '-o', 'name'), 'configmap/one\nconfigmap/two\n');
    assert.equal(await get('-l', 'kind in (test),tier notin (back)', '-o', 'name'), 'configmap/one\n');
    assert.equal(await get('--field-selector', 'metadata.name=two', '-o', 'name'), 'configmap/two\n');
    assert.match(
      await get('-l', 'kind', '-o', 'custom-columns=NAME:.metadata.name,A:.data.a', '--sort-by=.data.a'),
      /^NAME +A\none +1\ntwo +2\n$/,
    );
    assert.match(
      await get('-A', '-l', 'tier', '-L', 'tier'),
      /^NAMESPACE +NAME +DATA +AGE +TIER\nwork +two +1 +\d+s +back\n$/,
    );
    assert.deepEqual((JSON.parse(await get('one', '-o', 'json')) as { data: unknown }).data, { a: '1' });
    assert.match(
      await kubectl.ok(['get', 'om,cm', '-l', 'kind=test', '--show-labels']),
      /configmap\/two +1 +\d+s +kind=test,tier=back/,
    );
    assert.match(
      (await kubectl.run(['get', 'cm', '--field-selector', 'data.a=1'])).err,
      /field label not supported: data\.a|is not a known field selector/,
    );
  });

  each('wait waits for conditions, fields and creations', async ({ kubectl }) => {
    await kubectl.ok(['apply', '-f', '-'], model('awaited'));
    const comes = kubectl.ok(['wait', '--for=create', 'cm/coming', '--timeout=20s']);
    const changes = kubectl.ok(['wait', '--for=jsonpath={.spec.replicas}=4', 'om/awaited', '--timeout=20s']);
    await kubectl.ok(['create', 'configmap', 'coming']);
    await kubectl.ok(['scale', 'om/awaited', '--replicas=4', '--current-replicas=1']);
    assert.deepEqual(await Promise.all([comes, changes]), [
      'configmap/coming condition met\n',
      'onnxmodel.onnx-operator.dev/awaited condition met\n',
    ]);
    assert.match(
      (await kubectl.run(['wait', '--for=condition=Ready', 'om/awaited', '--timeout=1s'])).err,
      /timed out waiting for the condition/,
    );
  });

  each('get --watch shows changes from now on and deletions', async ({ kubectl }) => {
    const watch = kubectl.follow(['get', 'cm', '-l', 'seen=yes', '--watch', '--output-watch-events']);
    await kubectl.ok(['create', 'configmap', 'seen']);
    await kubectl.ok(['label', 'cm/seen', 'seen=yes']);
    await eventually('the object to enter', () => /ADDED +seen +0 /.test(watch.output()));
    await kubectl.ok(['delete', 'cm/seen']);
    await eventually('the deletion', () => /DELETED +seen +0 /.test(watch.output()));
    await watch.end();
  });

  each('explain describes a field by its path, all fields, and allowed values', async ({ kubectl }) => {
    assert.match(await kubectl.ok(['explain', 'om']), /DESCRIPTION:\n +An ONNX model that is served/);
    assert.match(
      await kubectl.ok(['explain', 'onnxmodel.spec.rollout.strategy']),
      /FIELD: strategy <string>\nENUM:\n( +\w+\n)+\nDESCRIPTION:\n +\S/,
    );
    assert.match(
      await kubectl.ok(['explain', 'om', '--recursive']),
      /^ {2}spec\t<Object> -required-\n( {4}.*\n)* {4}model\t<Object> -required-/m,
    );
    assert.match(await kubectl.ok(['explain', 'pod.spec.restartPolicy']), /ENUM:\n +Always\n +Never\n +OnFailure/);
    assert.match((await kubectl.run(['explain', 'om.spec.nothing'])).err, /field "nothing" does not exist/);
  });

  each('describe works for every kind of object that belongs to a model', async ({ kubectl }) => {
    await kubectl.ok(['apply', '-f', '-'], model('described'));
    assert.match(await kubectl.ok(['describe', 'om', 'described']), /^Kind: +OnnxModel\n[\s\S]*^ {2}Replicas: +1$/m);
    await kubectl.ok(['create', 'deployment', 'described', '--image=a:1', '--replicas=0']);
    assert.match(
      await kubectl.ok(['describe', 'deploy', 'described']),
      /^Replicas: +0 desired \| 0 updated \| 0 total \| 0 available \| 0 unavailable$/m,
    );
    await kubectl.ok(['expose', 'deploy/described', '--port=80']);
    assert.match(await kubectl.ok(['describe', 'svc', 'described']), /^Port: +<unset> {2}80\/TCP$/m);
    await kubectl.ok(['run', 'described', '--image=a:1']);
    assert.match(await kubectl.ok(['describe', 'pod', 'described']), /^Status: +Pending$/m);
  });

  each('rollout pauses, resumes and restarts a Deployment, and reports its status', async ({ kubectl }) => {
    await kubectl.ok(['create', 'deployment', 'rolled', '--image=a:1', '--replicas=0']);
    const rollout = (verb: string): Promise<string> => kubectl.ok(['rollout', verb, 'deploy/rolled']);
    assert.deepEqual(
      [await rollout('pause'), await rollout('resume'), await rollout('restart')],
      ['paused', 'resumed', 'restarted'].map((word) => `deployment.apps/rolled ${word}\n`),
    );
    assert.match(
      await kubectl.ok(['rollout', 'status', 'deploy/rolled', '--watch=false']),
      /Waiting for deployment spec update to be observed/,
    );
  });

  each('discovery lists versions and types', async ({ kubectl, version }) => {
    assert.match(
      await kubectl.ok(['api-resources', '--api-group=onnx-operator.dev']),
      /^onnxmodels +om +onnx-operator\.dev\/v1alpha1 +true +OnnxModel$/m,
    );
    assert.match(await kubectl.ok(['api-versions']), /^apps\/v1$[\s\S]*^v1$/m);
    assert.match(
      await kubectl.ok(['version']),
      new RegExp(`Client Version: v1\\.${version}\\.[\\s\\S]*Server Version: v1\\.35\\.\\d+\\+onnx-local`),
    );
    assert.match(await kubectl.ok(['cluster-info']), /is running at .*https:\/\/127\.0\.0\.1:/);
  });

  each('port-forward forwards connections to a pod, and reports errors', async ({ kubectl, server }) => {
    const web = createServer((request, response) => void request.pipe(response));
    ends.push(() => void web.close());
    web.listen(0, '127.0.0.1');
    await once(web, 'listening');
    const { port } = web.address() as AddressInfo;
    await kubectl.ok(['run', 'forwarded', '--image=a:1']);
    const ref = { apiVersion: 'v1', plural: 'pods', namespace: 'work', name: 'forwarded' };
    const pod = server.objects.get(ref);
    assert.ok(pod !== undefined);
    server.objects.updateStatus(ref, { ...pod, status: { phase: 'Running', podIP: '127.0.0.1' } });
    const forward = async (
      to: number,
    ): Promise<{ readonly url: string; readonly output: () => string; readonly end: () => Promise<void> }> => {
      const running = kubectl.follow(['port-forward', 'pod/forwarded', `:${to}`, '--address=127.0.0.1']);
      const from = await eventually('the port', () => /Forwarding from 127\.0\.0\.1:(\d+)/.exec(running.output())?.[1]);
      return { ...running, url: `http://127.0.0.1:${from}/` };
    };
    const good = await forward(port);
    const body = Buffer.alloc(300_000, 'x');
    const answers = await Promise.all(
      [1, 2, 3].map(async () => (await fetch(good.url, { method: 'POST', body })).arrayBuffer()),
    );
    for (const answer of answers) assert.ok(body.equals(Buffer.from(answer)));
    await good.end();
    const bad = await forward(await freePort());
    await assert.rejects(fetch(bad.url));
    await eventually('what went wrong', () =>
      /error forwarding port \d+ to 127\.0\.0\.1: connect ECONNREFUSED/.test(bad.output()),
    );
    await bad.end();
    assert.match((await kubectl.run(['exec', 'forwarded', '--', 'ls'])).err, /exec is not served by local mode/);
  });

  each(
    'auth reports that the caller may do everything, and refuses to answer for another user',
    async ({ kubectl }) => {
      assert.match(await kubectl.ok(['auth', 'can-i', '--list']), /^\*\.\* +\[\] +\[\] +\[\*\]$/m);
      const other = await kubectl.run(['auth', 'can-i', 'create', 'pods', '--as=another-user']);
      assert.match(other.err, /local mode has one user, who may do everything: impersonation is not supported/);
    },
  );

  each('delete accepts kinds, selectors and files, and ignores missing objects if requested', async ({ kubectl }) => {
    await kubectl.ok(['create', 'configmap', 'gone', '--from-literal=a=b']);
    await kubectl.ok(['label', 'cm/gone', 'going=yes']);
    assert.match(await kubectl.ok(['delete', 'cm', '-l', 'going=yes']), /^configmap "gone" deleted/);
    assert.equal(await kubectl.ok(['delete', 'cm/gone', '--ignore-not-found']), '');
    await kubectl.ok(['apply', '-f', '-'], model('gone'));
    assert.match(
      await kubectl.ok(['delete', '--cascade=foreground', '--timeout=20s', '-f', '-'], model('gone')),
      /^onnxmodel\.onnx-operator\.dev "gone" deleted/,
    );
  });

  it('Helm installs, upgrades, rolls back and uninstalls a chart with a model in it', async () => {
    const [target] = targets;
    assert.ok(target !== undefined);
    const chart = join(target.kubectl.folder, 'chart');
    mkdirSync(join(chart, 'templates'), { recursive: true });
    writeFileSync(join(chart, 'Chart.yaml'), 'apiVersion: v2\nname: demo\nversion: 0.1.0\n');
    writeFileSync(
      join(chart, 'templates', 'config.json'),
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: '{{ .Release.Name }}' },
        data: { size: '{{ .Values.size }}' },
      }),
    );
    writeFileSync(join(chart, 'templates', 'model.json'), model('{{ .Release.Name }}'));
    const home = join(target.kubectl.folder, 'home');
    const helm = async (...args: string[]): Promise<string> => {
      const env = { PATH: process.env['PATH'], HOME: home, KUBECONFIG: join(target.kubectl.folder, 'kubeconfig') };
      return (await promisify(execFile)(kubeTool('helm'), [...args, '--namespace', 'charts'], { env, timeout: 30_000 }))
        .stdout;
    };
    assert.match(await helm('install', 'demo', chart, '--create-namespace', '--set', 'size=1'), /^STATUS: deployed$/m);
    assert.match(await helm('upgrade', 'demo', chart, '--set', 'size=2'), /^REVISION: 2$/m);
    const size = (): Promise<string> =>
      target.kubectl.ok(['get', 'cm', 'demo', '--namespace', 'charts', '-o', 'jsonpath={.data.size}']);
    assert.equal(await size(), '2');
    await helm('rollback', 'demo', '1');
    assert.equal(await size(), '1');
    assert.match(await helm('list'), /^demo\s+charts\s+3\s.*deployed/m);
    await helm('uninstall', 'demo');
    assert.match((await target.kubectl.run(['get', 'om', 'demo', '--namespace', 'charts'])).err, /NotFound/);
  });
});
