/**
 * Creates the folders for a pod's volumes.
 * Owns: the folder of each volume, and updating a ConfigMap atomically. An update replaces a symbolic link, so a reader
 * never sees half of an update.
 * Limits: only ConfigMap, emptyDir and persistentVolumeClaim. Read-only mounts are not enforced.
 */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { AppError } from '../../api/errors.ts';
import type { StoredObject, Objects } from '../objects.ts';
import { claimFolder, type ClaimFolders } from '../workloads/claims.ts';
import { configMapsPath } from '../workloads/resources.ts';
import type { Container, StoredPod, Volume } from './pod.ts';
import type { PathMapping } from './rewrite-paths.ts';

export type VolumeDeps = { readonly objects: Objects; readonly folders: ClaimFolders };

/**
 * Creates every volume of the pod, or updates its ConfigMaps.
 *
 * @param podDir the pod's own folder
 * @throws AppError VOLUME_MISSING when a required ConfigMap or key does not exist, or when the kind of volume is not
 * supported
 */
export function setUpVolumes(deps: VolumeDeps, pod: StoredPod, podDir: string): void {
  for (const volume of pod.spec.volumes ?? []) {
    if ((volume.configMap ?? volume.emptyDir ?? volume.persistentVolumeClaim) === undefined) {
      throw new AppError('VOLUME_MISSING', {
        volume: volume.name,
        why: 'local mode does not support this kind of volume',
      });
    }
    const folder = volumeFolder(deps, pod, podDir, volume);
    mkdirSync(folder, { recursive: true });
    if (volume.configMap !== undefined)
      writeFiles(folder, configFiles(deps.objects, pod, volume.name, volume.configMap));
  }
}

/** The names of the ConfigMaps that the pod mounts. */
export function mountedConfigMaps(pod: StoredPod): readonly string[] {
  return (pod.spec.volumes ?? []).flatMap((volume) => (volume.configMap === undefined ? [] : [volume.configMap.name]));
}

/** For each mount path of the container, the folder of this machine. */
export function mountsOf(
  deps: VolumeDeps,
  pod: StoredPod,
  podDir: string,
  container: Container,
): readonly PathMapping[] {
  return (container.volumeMounts ?? []).flatMap(({ name, mountPath, subPath = '' }) => {
    const volume = pod.spec.volumes?.find((one) => one.name === name);
    if (volume === undefined) return [];
    return [{ mountPath, hostPath: inside(volumeFolder(deps, pod, podDir, volume), subPath) }];
  });
}

function volumeFolder({ folders }: VolumeDeps, pod: StoredPod, podDir: string, volume: Volume): string {
  const claim = volume.persistentVolumeClaim;
  if (claim !== undefined)
    return claimFolder(folders, { namespace: pod.metadata.namespace ?? '', name: claim.claimName });
  return join(podDir, 'volumes', volume.name);
}

type Files = ReadonlyMap<string, string | Buffer>;
type ConfigVolume = NonNullable<Volume['configMap']>;

function configFiles(objects: Objects, pod: StoredPod, volume: string, source: ConfigVolume): Files {
  const stored = objects.get({ ...configMapsPath, namespace: pod.metadata.namespace ?? '', name: source.name });
  if (stored !== undefined) return pickFiles(contentOf(stored), volume, source);
  if (source.optional === true) return new Map();
  throw new AppError('VOLUME_MISSING', { volume, why: `configmap "${source.name}" not found` });
}

/** All keys of a ConfigMap, or only the keys in `items`, under the paths that `items` gives. */
function pickFiles(all: Files, volume: string, { items, optional }: ConfigVolume): Files {
  if (items === undefined) return all;
  const picked = new Map<string, string | Buffer>();
  for (const { key, path } of items) {
    const content = all.get(key);
    if (content !== undefined) picked.set(path, content);
    else if (optional !== true)
      throw new AppError('VOLUME_MISSING', { volume, why: `configmap references non-existent config key: ${key}` });
  }
  return picked;
}

function contentOf(stored: StoredObject): Files {
  const files = new Map<string, string | Buffer>(Object.entries((stored['data'] ?? {}) as Record<string, string>));
  for (const [key, base64] of Object.entries((stored['binaryData'] ?? {}) as Record<string, string>))
    files.set(key, Buffer.from(base64, 'base64'));
  return files;
}

/**
 * Writes the files of a ConfigMap in the kubelet's layout. The files are in a separate folder, and the link `..data`
 * points to this folder. For each file name there is a link that leads through `..data`. Replacing `..data` therefore
 * changes all files at once.
 */
export function writeFiles(folder: string, files: ReadonlyMap<string, string | Buffer>): void {
  const data = join(folder, '..data');
  const before = linkTarget(data);
  if (before !== undefined && sameFiles(join(folder, before), files)) return;
  const version = `..${Date.now()}_${Math.floor(Math.random() * 1e9)}`;
  mkdirSync(join(folder, version));
  for (const [path, content] of files) {
    const target = inside(join(folder, version), path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
  symlinkSync(version, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), data);
  const tops = new Set([...files.keys()].map((path) => normalize(path).split('/')[0] ?? ''));
  for (const top of tops)
    if (linkTarget(join(folder, top)) === undefined) symlinkSync(join('..data', top), join(folder, top));
  for (const name of readdirSync(folder)) if (!name.startsWith('..') && !tops.has(name)) rmSync(join(folder, name));
  if (before !== undefined) rmSync(join(folder, before), { recursive: true, force: true });
}

function sameFiles(dir: string, files: ReadonlyMap<string, string | Buffer>): boolean {
  const there = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return (
    there.length === files.size &&
    [...files].every(([path, content]) => {
      try {
        return readFileSync(inside(dir, path)).equals(Buffer.from(content));
      } catch {
        return false;
      }
    })
  );
}

/**
 * A path below the folder. A real API server refuses a path that leads out of its volume.
 * @throws AppError VOLUME_MISSING when the path leads out of the folder
 */
function inside(folder: string, path: string): string {
  const joined = join(folder, path);
  if (joined !== folder && !joined.startsWith(`${folder}/`))
    throw new AppError('VOLUME_MISSING', { volume: path, why: 'the path leaves its volume' });
  return joined;
}

function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
