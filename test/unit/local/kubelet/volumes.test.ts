import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../../lib/clock.ts';
import { createObjects } from '../../../../local/api-server/core.ts';
import { mountsOf, setUpVolumes, writeFiles } from '../../../../local/kubelet/volumes.ts';
import type { StoredPod, PodSpec } from '../../../../local/kubelet/pod.ts';
import { configMapsPath } from '../../../../local/workloads/resources.ts';

const pod = (spec: Partial<PodSpec>): StoredPod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'p',
    namespace: 'default',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { containers: [], ...spec },
});

describe('volumes', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'onnx-volumes-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const files = (entries: Record<string, string>): ReadonlyMap<string, string> => new Map(Object.entries(entries));
  const visible = (): readonly string[] =>
    readdirSync(dir)
      .filter((name) => !name.startsWith('..'))
      .sort();
  const doors = () => ({
    objects: createObjects({ clock: systemClock }),
    folders: { given: new Map([['models', '/srv/models']]), dataDir: join(dir, 'data') },
  });

  it('shows all files of a version and swaps them by one link', () => {
    writeFiles(dir, files({ a: '1', 'sub/b': '2' }));
    const first = readlinkSync(join(dir, '..data'));
    assert.deepEqual(visible(), ['a', 'sub']);
    assert.equal(readFileSync(join(dir, 'sub', 'b'), 'utf8'), '2');
    writeFiles(dir, files({ a: '3', c: '4' }));
    assert.deepEqual(visible(), ['a', 'c']);
    assert.equal(readFileSync(join(dir, 'a'), 'utf8'), '3');
    assert.notEqual(readlinkSync(join(dir, '..data')), first);
    assert.equal(readdirSync(dir).includes(first), false);
  });

  it('does not rewrite unchanged files', () => {
    writeFiles(dir, files({ a: '1' }));
    const first = readlinkSync(join(dir, '..data'));
    writeFiles(dir, files({ a: '1' }));
    assert.equal(readlinkSync(join(dir, '..data')), first);
  });

  it('refuses a path that leaves the volume', () => {
    assert.throws(() => writeFiles(dir, files({ '../../x': '1' })), /leaves its volume/);
  });

  it('writes the selected keys of a ConfigMap under their paths', () => {
    const parts = doors();
    parts.objects.create(configMapsPath, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'c', namespace: 'default' },
      data: { one: '1', two: '2' },
    });
    setUpVolumes(
      parts,
      pod({ volumes: [{ name: 'v', configMap: { name: 'c', items: [{ key: 'one', path: 'deep/first' }] } }] }),
      dir,
    );
    assert.equal(readFileSync(join(dir, 'volumes', 'v', 'deep', 'first'), 'utf8'), '1');
  });

  // prettier-ignore
  const missing: readonly (readonly [string, NonNullable<PodSpec['volumes']>, RegExp | undefined])[] = [
    ['names the missing ConfigMap', [{ name: 'v', configMap: { name: 'none' } }],
      /MountVolume.SetUp failed for volume "v": configmap "none" not found/],
    ['reports an unsupported kind of volume',
      [{ name: 'v', secret: { secretName: 's' } } as NonNullable<PodSpec['volumes']>[number]],
      /"v": local mode does not support this kind of volume/],
    ['accepts a missing optional ConfigMap', [{ name: 'v', configMap: { name: 'none', optional: true } }], undefined],
  ];
  for (const [name, volumes, problem] of missing) {
    it(name, () => {
      const run = (): void => setUpVolumes(doors(), pod({ volumes }), dir);
      if (problem === undefined) run();
      else assert.throws(run, problem);
    });
  }

  it('uses folders for mounts: given claims, own claims, and folders of the pod', () => {
    const volumes = [
      { name: 'g', persistentVolumeClaim: { claimName: 'models' } },
      { name: 'o', persistentVolumeClaim: { claimName: 'other' } },
      { name: 'e', emptyDir: {} },
    ];
    const container = {
      name: 'c',
      image: 'i',
      volumeMounts: [
        { name: 'g', mountPath: '/g', subPath: 'minilm' },
        { name: 'o', mountPath: '/o' },
        { name: 'e', mountPath: '/e' },
        { name: 'none', mountPath: '/n' },
      ],
    };
    assert.deepEqual(mountsOf(doors(), pod({ volumes }), '/pod', container), [
      { mountPath: '/g', hostPath: '/srv/models/minilm' },
      { mountPath: '/o', hostPath: join(dir, 'data', 'volumes', 'default', 'other') },
      { mountPath: '/e', hostPath: '/pod/volumes/e' },
    ]);
  });
});
