/**
 * The kubelet of local mode with real processes: the status of a pod from its start to its end.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { StoredContainerStatus, EnvVar, StoredPod, TerminatedState } from '../../local/kubelet/pod.ts';
import { condition, isPodReady } from '../../local/kubelet/pod.ts';
import { claimsPath, configMapsPath, eventsPath, podsPath } from '../../local/workloads/resources.ts';
import { LocalWorld } from '../support/local-world.ts';

const podIp: EnvVar = { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } };

const main = (pod: StoredPod): StoredContainerStatus | undefined => pod.status?.containerStatuses?.[0];
const waiting = (pod: StoredPod): string | undefined => {
  const state = main(pod)?.state;
  return state !== undefined && 'waiting' in state ? state.waiting.reason : undefined;
};
const terminated = (pod: StoredPod): TerminatedState | undefined => {
  const state = main(pod)?.state;
  return state !== undefined && 'terminated' in state ? state.terminated : undefined;
};
const lastEnd = (pod: StoredPod): TerminatedState | undefined => {
  const last = main(pod)?.lastState;
  return last !== undefined && 'terminated' in last ? last.terminated : undefined;
};
const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

describe('kubelet', () => {
  const shared = mkdtempSync(join(tmpdir(), 'onnx-local-claim-'));
  let world: LocalWorld;
  before(() => {
    world = new LocalWorld({ volumes: new Map([['models', shared]]), machineEnv: { FROM_MACHINE: 'yes' } });
  });
  after(async () => {
    await world.end();
    rmSync(shared, { recursive: true, force: true });
  });

  const http = async (pod: StoredPod, path: string): Promise<string> =>
    (await fetch(`http://${pod.status?.podIP}:8080${path}`)).text();
  const remove = async (name: string, graceSeconds?: number): Promise<void> => {
    world.objects.delete(
      { ...podsPath, namespace: 'default', name },
      graceSeconds === undefined ? {} : { graceSeconds },
    );
    await world.gone(name);
  };
  const told = (pod: string): readonly string[] =>
    world.objects
      .list(eventsPath)
      .filter((event) => (event['involvedObject'] as { name: string }).name === pod)
      .map((event) => String(event['reason']));

  it('finds its programs even if a pod mounts a volume over their folder', async () => {
    world.createPod(
      'covered',
      [{ args: ['stay'], volumeMounts: [{ name: 'cover', mountPath: dirname(process.execPath) }] }],
      { volumes: [{ name: 'cover', emptyDir: {} }] },
    );
    await world.podUntil('covered', isPodReady, 'covered to be ready');
    await remove('covered');
  });

  it('starts init containers in order, then the main containers', async () => {
    const init = (name: string, word: string): object => ({
      name,
      image: 'test/program',
      args: ['write', `/shared/${name}`, word],
      volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
    });
    world.createPod(
      'inits',
      [
        {
          args: ['read', '/shared/one', 'read', '/shared/two', 'stay'],
          volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
        },
      ],
      {
        initContainers: [
          init('one', 'first'),
          { ...init('two', 'second'), args: ['read', '/shared/one', 'write', '/shared/two', 'second'] },
        ],
        volumes: [{ name: 'shared', emptyDir: {} }],
      },
    );
    const pod = await world.podUntil('inits', isPodReady, 'inits to be ready');
    assert.deepEqual(
      pod.status?.initContainerStatuses?.map(({ name, ready, state }) => [
        name,
        ready,
        'terminated' in state && state.terminated.reason,
      ]),
      [
        ['one', true, 'Completed'],
        ['two', true, 'Completed'],
      ],
    );
    assert.equal(condition(pod, 'Initialized')?.status, 'True');
    assert.equal(await world.logUntil('inits', 'second'), 'first\nsecond\n');
    await remove('inits');
  });

  it('keeps a pod in its initialisation while an init container fails, with backoff', async () => {
    world.createPod('bad-init', [{ args: ['stay'] }], {
      initContainers: [
        { name: 'prepare', image: 'test/program', args: ['write', '/dev/termination-log', 'no model', 'exit', '2'] },
      ],
    });
    const pod = await world.podUntil(
      'bad-init',
      ({ status }) => {
        const state = status?.initContainerStatuses?.[0]?.state;
        return state !== undefined && 'waiting' in state && state.waiting.reason === 'CrashLoopBackOff';
      },
      'the init container to back off',
    );
    const init = pod.status?.initContainerStatuses?.[0];
    assert.equal(pod.status?.phase, 'Pending');
    assert.ok(init !== undefined && 'terminated' in init.lastState && init.lastState.terminated !== undefined);
    assert.deepEqual([init.lastState.terminated.exitCode, init.lastState.terminated.message], [2, 'no model']);
    assert.equal(waiting(pod), 'PodInitializing');
    assert.equal(condition(pod, 'Initialized')?.message, 'containers with incomplete status: [prepare]');
    await remove('bad-init');
  });

  it('restarts a container at once, then with back-off, and keeps its termination message and log', async () => {
    world.createPod('crash', [
      { args: ['say', 'my run', 'write', '/dev/termination-log', 'out of luck', 'exit', '7'] },
    ]);
    const pod = await world.podUntil(
      'crash',
      (one) => waiting(one) === 'CrashLoopBackOff',
      'the container to back off',
    );
    const end = lastEnd(pod);
    assert.deepEqual([end?.exitCode, end?.reason, end?.message], [7, 'Error', 'out of luck']);
    assert.ok((main(pod)?.restartCount ?? 0) >= 1);
    assert.equal(pod.status?.phase, 'Running');
    assert.equal(condition(pod, 'Ready')?.message, 'containers with unready status: [main]');
    assert.equal(await world.log('crash', { previous: true }), 'my run\n');
    assert.ok(told('crash').includes('BackOff'), 'no BackOff event');
    await remove('crash');
  });

  it('shows Completed for a container that exited with 0, and Succeeded for a pod that is not restarted', async () => {
    world.createPod('once', [{ args: ['say', 'done'] }], { restartPolicy: 'Never' });
    const pod = await world.podUntil('once', ({ status }) => status?.phase === 'Succeeded', 'the pod to succeed');
    assert.deepEqual([terminated(pod)?.exitCode, terminated(pod)?.reason], [0, 'Completed']);
    await remove('once');
  });

  it('uses the end of the log as the termination message if the container asks for it and wrote none', async () => {
    world.createPod(
      'fallback',
      [{ args: ['complain', 'it broke', 'exit', '1'], terminationMessagePolicy: 'FallbackToLogsOnError' }],
      { restartPolicy: 'Never' },
    );
    const pod = await world.podUntil('fallback', ({ status }) => status?.phase === 'Failed', 'the pod to fail');
    assert.equal(terminated(pod)?.message, 'it broke\n');
    await remove('fallback');
  });

  it('shows ErrImagePull, then ImagePullBackOff, for an unknown image', async () => {
    world.createPod('nowhere', [{ image: 'nowhere.example/none:1' }]);
    const first = await world.podUntil('nowhere', (pod) => waiting(pod) === 'ErrImagePull', 'ErrImagePull');
    assert.equal(first.status?.phase, 'Pending');
    const second = await world.podUntil('nowhere', (pod) => waiting(pod) === 'ImagePullBackOff', 'ImagePullBackOff');
    const state = main(second)?.state;
    assert.match(
      state !== undefined && 'waiting' in state ? (state.waiting.message ?? '') : '',
      /^Back-off pulling image "nowhere.example\/none:1"/,
    );
    await remove('nowhere');
  });

  it('reports a command that the image does not have', async () => {
    world.createPod('no-command', [{ command: ['/usr/bin/nothing'] }], { restartPolicy: 'Never' });
    const pod = await world.podUntil('no-command', ({ status }) => status?.phase === 'Failed', 'the pod to fail');
    assert.deepEqual([terminated(pod)?.exitCode, terminated(pod)?.reason], [128, 'StartError']);
    await remove('no-command');
  });

  it('runs a shell when the pod asks for one', async () => {
    world.createPod(
      'shell',
      [{ command: ['/bin/sh', '-c', 'echo $GREETING'], env: [{ name: 'GREETING', value: 'hello' }] }],
      { restartPolicy: 'Never' },
    );
    await world.podUntil('shell', ({ status }) => status?.phase === 'Succeeded', 'the pod to succeed');
    assert.equal(await world.log('shell'), 'hello\n');
    await remove('shell');
  });

  it('sets variables of the downward API and of the machine, and replaces variables in args', async () => {
    const field = (name: string, fieldPath: string): EnvVar => ({ name, valueFrom: { fieldRef: { fieldPath } } });
    const names = ['NAME', 'SPACE', 'TEAM', 'MEMORY', 'FROM_MACHINE'];
    world.createPod(
      'downward',
      [
        {
          args: [...names.flatMap((name) => ['env', name]), 'say', 'I am $(NAME), not $$(NAME)'],
          env: [
            field('NAME', 'metadata.name'),
            field('SPACE', 'metadata.namespace'),
            field('TEAM', "metadata.labels['team']"),
            { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
          ],
          resources: { limits: { memory: '256Mi' } },
        },
      ],
      { restartPolicy: 'Never' },
      { team: 'ranking' },
    );
    await world.podUntil('downward', ({ status }) => status?.phase === 'Succeeded', 'the pod to succeed');
    assert.equal(
      await world.log('downward'),
      'NAME=downward\nSPACE=default\nTEAM=ranking\nMEMORY=256\nFROM_MACHINE=yes\nI am downward, not $(NAME)\n',
    );
    await remove('downward');
  });

  it('gives each pod an address of its own, so that all may use one port', async () => {
    for (const name of ['left', 'right'])
      world.createPod(name, [
        {
          args: ['serve', '8080'],
          env: [podIp, { name: 'POD_NAME', value: name }],
          ports: [{ name: 'http', containerPort: 8080 }],
          readinessProbe: { tcpSocket: { port: 'http' }, periodSeconds: 1 },
        },
      ]);
    for (const name of ['left', 'right'])
      assert.equal(await http(await world.podUntil(name, isPodReady, `${name} to be ready`), '/'), name);
    await Promise.all([remove('left'), remove('right')]);
  });

  it('mounts a ConfigMap and shows its changes to the running container at once', async () => {
    const put = (text: string): void => {
      const stored = world.objects.get({ ...configMapsPath, namespace: 'default', name: 'settings' });
      if (stored === undefined)
        world.objects.create(configMapsPath, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'settings', namespace: 'default' },
          data: { 'runtime.json': text },
        });
      else world.objects.update(configMapsPath, { ...stored, data: { 'runtime.json': text } });
    };
    world.createPod(
      'config',
      [
        {
          args: ['serve', '8080', 'env', 'CONFIG'],
          env: [podIp, { name: 'CONFIG', value: '/etc/settings/runtime.json' }],
          volumeMounts: [{ name: 'config', mountPath: '/etc/settings' }],
          startupProbe: { httpGet: { port: 8080 }, periodSeconds: 1 },
        },
      ],
      { volumes: [{ name: 'config', configMap: { name: 'settings' } }] },
    );
    await world.until(
      eventsPath,
      () => (told('config').includes('FailedMount') ? true : undefined),
      'the missing ConfigMap to be told',
    );
    put('one');
    const pod = await world.podUntil('config', isPodReady, 'config to be ready');
    const path = (await world.log('config')).split('CONFIG=')[1]?.split('\n')[0] ?? '';
    assert.equal(await http(pod, `/file?${path}`), 'one');
    put('two');
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.equal(await http(pod, `/file?${path}`), 'two');
    await remove('config');
  });

  it('mounts a given folder for a claim, and waits for a missing claim', async () => {
    writeFileSync(join(shared, 'weights'), '42');
    const spec = (claimName: string): object => ({
      restartPolicy: 'Never',
      volumes: [{ name: 'source', persistentVolumeClaim: { claimName } }],
    });
    const mount = {
      volumeMounts: [{ name: 'source', mountPath: '/mnt/source' }],
      args: ['read', '/mnt/source/weights'],
    };
    world.createPod('claimed', [mount], { ...spec('models') });
    await world.podUntil('claimed', ({ status }) => status?.phase === 'Succeeded', 'the pod to read its claim');
    assert.equal(await world.log('claimed'), '42\n');

    world.createPod('unclaimed', [mount], { ...spec('later') });
    const pod = await world.podUntil(
      'unclaimed',
      (one) => condition(one, 'PodScheduled')?.status === 'False',
      'the pod to be refused',
    );
    assert.equal(condition(pod, 'PodScheduled')?.reason, 'Unschedulable');
    assert.match(
      condition(pod, 'PodScheduled')?.message ?? '',
      /^0\/1 nodes are available: persistentvolumeclaim "later" not found\./,
    );
    world.objects.create(claimsPath, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'later', namespace: 'default' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    });
    await world.podUntil(
      'unclaimed',
      ({ status }) => status?.phase === 'Failed',
      'the pod to run once its claim is there',
    );
    await Promise.all([remove('claimed'), remove('unclaimed')]);
  });

  it('refuses a pod that asks for more than the node has', async () => {
    world.createPod('huge', [{ resources: { requests: { cpu: '4000' } } }]);
    const pod = await world.podUntil(
      'huge',
      (one) => condition(one, 'PodScheduled') !== undefined,
      'the pod to be refused',
    );
    assert.match(condition(pod, 'PodScheduled')?.message ?? '', /^0\/1 nodes are available: 1 Insufficient cpu\./);
    await remove('huge');
  });

  it('makes a pod ready and unready by its readiness probe, without a restart', async () => {
    world.createPod('probed', [
      {
        args: ['serve', '8080'],
        env: [podIp, { name: 'STARTS_READY', value: 'no' }],
        readinessProbe: { httpGet: { port: 8080, path: '/ready' }, periodSeconds: 1, failureThreshold: 1 },
      },
    ]);
    await world.logUntil('probed', 'serving');
    const pod = await world.podUntil('probed', (one) => main(one)?.started === true, 'probed to run');
    assert.equal(isPodReady(pod), false);
    await http(pod, '/be-ready');
    await world.podUntil('probed', isPodReady, 'probed to be ready');
    await http(pod, '/be-unready');
    const after = await world.podUntil('probed', (one) => !isPodReady(one), 'probed to be unready');
    assert.equal(main(after)?.restartCount, 0);
    await remove('probed');
  });

  it('restarts a container whose liveness probe fails', async () => {
    world.createPod('sick', [
      {
        args: ['stay'],
        livenessProbe: { exec: { command: ['/bin/sh', '-c', 'exit 1'] }, periodSeconds: 1, failureThreshold: 1 },
      },
    ]);
    const pod = await world.podUntil('sick', (one) => (main(one)?.restartCount ?? 0) > 0, 'a restart');
    assert.equal(lastEnd(pod)?.exitCode, 143);
    assert.ok(told('sick').includes('Killing'));
    await remove('sick', 0);
  });

  it('lets a deleted pod answer its last request before it ends', async () => {
    world.createPod('gentle', [
      { args: ['serve', '8080'], env: [podIp], startupProbe: { httpGet: { port: 8080 }, periodSeconds: 1 } },
    ]);
    const pod = await world.podUntil('gentle', isPodReady, 'gentle to be ready');
    const slow = http(pod, '/slow');
    await http(pod, '/');
    world.objects.delete({ ...podsPath, namespace: 'default', name: 'gentle' });
    assert.notEqual(world.pod('gentle')?.metadata.deletionTimestamp, undefined);
    assert.equal(await slow, 'slow');
    await world.gone('gentle');
    assert.equal(existsSync(join(world.dir, 'pods', pod.metadata.uid)), false);
  });

  it('kills a process and its children when they do not end within the grace period', async () => {
    world.createPod('deaf', [{ args: ['deaf', 'fork', 'say', 'set', 'stay'] }], { terminationGracePeriodSeconds: 1 });
    await world.podUntil('deaf', isPodReady, 'deaf to run');
    const child = Number(/child (\d+)/.exec(await world.logUntil('deaf', 'set'))?.[1]);
    assert.ok(isAlive(child));
    await remove('deaf');
    assert.equal(isAlive(child), false);
  });

  it('starts pods of an earlier run again, as after a reboot', async () => {
    world.createPod('survivor', [{ args: ['say', 'up', 'stay'] }]);
    const before = await world.podUntil('survivor', isPodReady, 'survivor to run');
    await world.stop();
    world.start();
    const after = await world.podUntil(
      'survivor',
      (pod) => isPodReady(pod) && (main(pod)?.restartCount ?? 0) === 1,
      'survivor to run again',
    );
    assert.equal(after.metadata.uid, before.metadata.uid);
    assert.equal(lastEnd(after)?.exitCode, 255);
    await remove('survivor');
  });

  for (const limits of ['auto', 'watch'] as const) {
    const way = limits === 'auto' ? 'the way this machine allows' : 'by watching';
    it(`shows OOMKilled for a container over its memory limit (${way})`, async () => {
      const small = new LocalWorld({ limits });
      try {
        small.createPod('fat', [{ args: ['grow', '400'], resources: { limits: { memory: '120Mi' } } }], {
          restartPolicy: 'Never',
        });
        const pod = await small.podUntil('fat', ({ status }) => status?.phase === 'Failed', 'the pod to be killed');
        assert.deepEqual([terminated(pod)?.exitCode, terminated(pod)?.reason], [137, 'OOMKilled']);
      } finally {
        await small.end();
      }
    });
  }

  it('does not change the folder that is given for a claim', async () => {
    assert.equal(readFileSync(join(shared, 'weights'), 'utf8'), '42');
  });
});
