/** Runs the kubectl versions that users have against local mode's API server. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { systemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { startApiServer, type LocalApiServer } from '../../local/api-server/server.ts';
import type { LogSource } from '../../local/objects.ts';
import type { KubeVersion } from '../../scripts/kubectl.ts';
import { onBothKubectls, type Ends } from '../support/both-kubectls.ts';
import { widgetDefinition } from '../conformance/kube/widget.ts';
import { eventually } from '../support/eventually.ts';
import { Kubectl, type Result } from '../support/kubectl.ts';

const group = 'kubectl.example.com';

function widget(name: string, spec: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({
    apiVersion: `${group}/v1`,
    kind: 'Widget',
    metadata: { name, labels: { made: 'by-test' } },
    spec,
  });
}

/**
 * The log of a container that has written two lines. With `follow`, the stream stays open until the client closes it.
 */
const logs: LogSource = {
  read(pod, options) {
    if (pod.name !== 'talker') return undefined;
    return (async function* lines() {
      const said = ['first line\n', 'second line\n'].slice(options.tailLines === undefined ? 0 : -options.tailLines);
      for (const line of said) yield Buffer.from(line);
      if (options.follow)
        await new Promise((resolve) => options.signal.addEventListener('abort', resolve, { once: true }));
    })();
  },
};

type Target = { readonly server: LocalApiServer; readonly kubectl: Kubectl };

/** @param ends collects clean-up functions, one for each thing that was started */
async function prepare(version: KubeVersion, ends: Ends): Promise<Target> {
  const server = await startApiServer({ clock: systemClock, logger: silentLogger, logs });
  const folder = mkdtempSync(join(tmpdir(), 'local-kubectl-'));
  ends.push(
    () => server.close(),
    () => rmSync(folder, { recursive: true, force: true }),
  );
  writeFileSync(join(folder, 'kubeconfig'), server.kubeconfig(), { mode: 0o600 });
  const kubectl = new Kubectl(version, folder);
  await kubectl.ok(['create', 'namespace', 'work']);
  await kubectl.ok(['apply', '--server-side', '-f', '-'], JSON.stringify(widgetDefinition(group)));
  await kubectl.ok(['wait', '--for=condition=Established', `crd/widgets.${group}`, '--timeout=10s']);
  return { server, kubectl };
}

describe('kubectl 1.34 and 1.35 on local mode', function () {
  const { each } = onBothKubectls(prepare);

  each('applies a manifest on the server: new, the same, changed', async ({ kubectl, server }) => {
    const apply = (spec: Readonly<Record<string, unknown>>): Promise<string> =>
      kubectl.ok(['apply', '--server-side', '-f', '-'], widget('ssa', spec));
    const said = `widget.${group}/ssa serverside-applied\n`;
    assert.equal(await apply({ size: 'small', replicas: 2, note: 'note' }), said);
    const before = server.objects.get({ apiVersion: `${group}/v1`, plural: 'widgets', namespace: 'work', name: 'ssa' });
    assert.equal(await apply({ size: 'small', replicas: 2, note: 'note' }), said);
    const same = server.objects.get({ apiVersion: `${group}/v1`, plural: 'widgets', namespace: 'work', name: 'ssa' });
    assert.equal(same?.metadata.resourceVersion, before?.metadata.resourceVersion);
    await apply({ size: 'small', replicas: 3 });
    const changed = server.objects.get({
      apiVersion: `${group}/v1`,
      plural: 'widgets',
      namespace: 'work',
      name: 'ssa',
    });
    assert.deepEqual(changed?.['spec'], { size: 'small', replicas: 3 });
  });

  each('reports a conflict, and takes fields over by force', async ({ kubectl }) => {
    await kubectl.ok(['apply', '--server-side', '-f', '-'], widget('conflict', { size: 'small', replicas: 2 }));
    const apply = (...flags: string[]): Promise<Result> =>
      kubectl.run(
        ['apply', '--server-side', '--field-manager', 'other', ...flags, '-f', '-'],
        widget('conflict', { size: 'small', replicas: 4 }),
      );
    const refused = await apply();
    assert.equal(refused.code, 1);
    assert.match(refused.err, /Apply failed with 1 conflict: conflict with "kubectl": \.spec\.replicas/);
    assert.equal((await apply('--force-conflicts')).code, 0);
  });

  each('applies a manifest on the client: created, unchanged, configured', async ({ kubectl }) => {
    const apply = (replicas: number): Promise<string> =>
      kubectl.ok(['apply', '-f', '-'], widget('csa', { size: 'small', replicas }));
    assert.deepEqual(
      [await apply(2), await apply(2), await apply(3)],
      ['created', 'unchanged', 'configured'].map((word) => `widget.${group}/csa ${word}\n`),
    );
  });

  each('applies a Deployment on the client, with list items merged by their keys', async ({ kubectl }) => {
    const deployment = (env: readonly unknown[]): string =>
      JSON.stringify({
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'csa' },
        spec: {
          replicas: 0,
          selector: { matchLabels: { a: 'b' } },
          template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x:1', env }] } },
        },
      });
    await kubectl.ok(
      ['apply', '-f', '-'],
      deployment([
        { name: 'A', value: '1' },
        { name: 'B', value: '2' },
      ]),
    );
    assert.equal(
      await kubectl.ok(['apply', '-f', '-'], deployment([{ name: 'B', value: '3' }])),
      'deployment.apps/csa configured\n',
    );
    assert.equal(
      await kubectl.ok(['get', 'deploy', 'csa', '-o', 'jsonpath={.spec.template.spec.containers[0].env}']),
      '[{"name":"B","value":"3"}]',
    );
    assert.equal(
      await kubectl.ok(['apply', '-f', '-'], deployment([{ name: 'B', value: '3' }])),
      'deployment.apps/csa unchanged\n',
    );
  });

  each('names the invalid field of a manifest', async ({ kubectl }) => {
    const unknown = await kubectl.run(
      ['apply', '--server-side', '-f', '-'],
      widget('wrong', { size: 'small', colour: 'red' }),
    );
    assert.match(unknown.err, /\.spec\.colour: field not declared in schema/);
    const old = await kubectl.run(['apply', '-f', '-'], widget('wrong', { size: 'small', colour: 'red' }));
    assert.match(old.err, /strict decoding error: unknown field "spec\.colour"/);
    const broken = await kubectl.run(
      ['apply', '--server-side', '-f', '-'],
      widget('wrong', { size: 'small', replicas: 11 }),
    );
    assert.match(
      broken.err,
      new RegExp(
        String.raw`The Widget "wrong" is invalid: spec\.replicas: Invalid value: 11: spec\.replicas in ` +
          'body should be less than or equal to 10',
      ),
    );
  });

  each('prints tables, wide ones, YAML and single fields', async ({ kubectl }) => {
    await kubectl.ok(
      ['apply', '--server-side', '-f', '-'],
      widget('shown', { size: 'small', replicas: 2, note: 'note' }),
    );
    const table = await kubectl.ok(['get', 'wg', 'shown']);
    assert.match(table, /^NAME +SIZE +REPLICAS +READY +AGE\nshown +small +2 +\d+s\n$/);
    assert.match(
      await kubectl.ok(['get', 'wg', 'shown', '-o', 'wide']),
      /^NAME +SIZE +REPLICAS +READY +NOTE +AGE\nshown +small +2 +note +\d+s\n$/,
    );
    assert.deepEqual((parse(await kubectl.ok(['get', 'wg', 'shown', '-o', 'yaml'])) as { spec: unknown }).spec, {
      size: 'small',
      replicas: 2,
      note: 'note',
    });
    assert.equal(await kubectl.ok(['get', 'wg', 'shown', '-o', 'jsonpath={.spec.replicas}']), '2');
    assert.match(await kubectl.ok(['get', 'ns', 'work']), /work +Active/);
  });

  each('watches objects', async ({ kubectl }) => {
    await kubectl.ok(['apply', '--server-side', '-f', '-'], widget('watched', { size: 'small', replicas: 1 }));
    const watch = kubectl.follow(['get', 'wg', 'watched', '-w']);
    await eventually('the first line', () => /watched +small +1 /.test(watch.output()));
    await kubectl.ok(['apply', '--server-side', '-f', '-'], widget('watched', { size: 'small', replicas: 2 }));
    await eventually('the change', () => /watched +small +2 /.test(watch.output()));
    await watch.end();
    assert.equal(watch.output().match(/NAME/g)?.length, 1);
  });

  each('waits for a condition and for a deletion', async ({ kubectl }) => {
    await kubectl.ok(['apply', '--server-side', '-f', '-'], widget('waited', { size: 'small' }));
    const ready = kubectl.ok(['wait', '--for=condition=Ready', 'wg/waited', '--timeout=20s']);
    await kubectl.ok([
      'patch',
      'wg',
      'waited',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}',
    ]);
    assert.equal(await ready, `widget.${group}/waited condition met\n`);
    const gone = kubectl.ok(['wait', '--for=delete', 'wg/waited', '--timeout=20s']);
    assert.match(await kubectl.ok(['delete', 'wg', 'waited']), /^widget\.kubectl\.example\.com "waited" deleted/);
    await gone;
  });

  each('deletes an object once its finalizer is removed', async ({ kubectl, server }) => {
    await kubectl.ok(['apply', '--server-side', '-f', '-'], widget('held', { size: 'small' }));
    await kubectl.ok(['patch', 'wg', 'held', '--type=merge', '-p', '{"metadata":{"finalizers":["example.com/hold"]}}']);
    const deleting = kubectl.ok(['delete', 'wg', 'held', '--timeout=20s']);
    const ref = { apiVersion: `${group}/v1`, plural: 'widgets', namespace: 'work', name: 'held' };
    await eventually('the deletion to begin', () => server.objects.get(ref)?.metadata.deletionTimestamp !== undefined);
    await kubectl.ok(['patch', 'wg', 'held', '--type=json', '-p', '[{"op":"remove","path":"/metadata/finalizers"}]']);
    await deleting;
  });

  each('explains, scales, labels and describes', async ({ kubectl }) => {
    assert.match(await kubectl.ok(['explain', 'widget.spec.size']), /FIELD: size <string>[\s\S]*How large it is\./);
    await kubectl.ok(['apply', '--server-side', '-f', '-'], widget('handled', { size: 'small' }));
    assert.equal(await kubectl.ok(['scale', 'wg/handled', '--replicas=5']), `widget.${group}/handled scaled\n`);
    assert.equal(await kubectl.ok(['label', 'wg/handled', 'colour=blue']), `widget.${group}/handled labeled\n`);
    const described = await kubectl.ok(['describe', 'wg', 'handled']);
    assert.match(described, /Replicas: +5/);
    assert.match(described, /colour=blue/);
  });

  each('shows events about an object when it describes it', async ({ kubectl }) => {
    await kubectl.ok(['apply', '--server-side', '-f', '-'], widget('eventful', { size: 'small' }));
    const uid = await kubectl.ok(['get', 'wg', 'eventful', '-o', 'jsonpath={.metadata.uid}']);
    const involvedObject = { apiVersion: `${group}/v1`, kind: 'Widget', name: 'eventful', namespace: 'work', uid };
    await kubectl.ok(
      ['create', '-f', '-'],
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: 'e', namespace: 'work' },
        involvedObject,
        reason: 'Happened',
        message: 'it did',
        type: 'Normal',
        firstTimestamp: '2026-01-01T00:00:00Z',
        lastTimestamp: '2026-01-01T00:00:00Z',
        count: 1,
        source: { component: 'test' },
      }),
    );
    assert.match(await kubectl.ok(['describe', 'wg', 'eventful']), /Normal +Happened +.* test +it did/);
    assert.match(await kubectl.ok(['get', 'events']), /Normal +Happened +widget\/eventful +it did/);
  });

  each('reads and follows logs', async ({ kubectl }) => {
    for (const name of ['talker', 'silent'])
      await kubectl.ok(
        ['apply', '--server-side', '-f', '-'],
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name },
          spec: { containers: [{ name: 'c', image: 'x' }] },
        }),
      );
    assert.equal(await kubectl.ok(['logs', 'talker']), 'first line\nsecond line\n');
    assert.equal(await kubectl.ok(['logs', 'talker', '--tail=1']), 'second line\n');
    assert.match(
      (await kubectl.run(['logs', 'silent'])).err,
      /container "c" in pod "silent" is waiting to start: ContainerCreating/,
    );
    const following = kubectl.follow(['logs', '-f', 'talker']);
    await eventually('the lines', () => following.output() === 'first line\nsecond line\n');
    await following.end();
  });

  each('creates config maps, secrets and service accounts, which it sends as protobuf', async ({ kubectl }) => {
    await kubectl.ok(['create', 'configmap', 'made', '--from-literal=a=b']);
    await kubectl.ok(['create', 'secret', 'generic', 'made', '--from-literal=a=b']);
    await kubectl.ok(['create', 'serviceaccount', 'made']);
    assert.equal(await kubectl.ok(['get', 'cm', 'made', '-o', 'jsonpath={.data.a}']), 'b');
    assert.equal(await kubectl.ok(['get', 'secret', 'made', '-o', 'jsonpath={.data.a}']), 'Yg==');
  });

  each('may do everything, with its token', async ({ kubectl, server }) => {
    assert.equal(await kubectl.ok(['auth', 'can-i', 'create', 'pods']), 'yes\n');
    assert.match(await kubectl.ok(['auth', 'whoami']), /Username +local/);
    writeFileSync(join(kubectl.folder, 'stranger'), server.kubeconfig().replace(server.token, 'wrong'), {
      mode: 0o600,
    });
    assert.notEqual((await kubectl.run(['get', 'pods', '--kubeconfig', join(kubectl.folder, 'stranger')])).code, 0);
  });

  each('deletes a namespace with all of its objects', async ({ kubectl }) => {
    await kubectl.ok(['create', 'namespace', 'short']);
    await kubectl.ok(['create', 'configmap', 'inside', '--namespace', 'short']);
    assert.match(await kubectl.ok(['delete', 'namespace', 'short', '--timeout=20s']), /namespace "short" deleted/);
    assert.match((await kubectl.run(['get', 'ns', 'short'])).err, /NotFound/);
  });
});
