/**
 * Makes the root of an image in a folder: system, program, compiled code, bill of materials.
 * Owns: the order of these steps, and that equal contents give equal files: all have the given time, and permissions
 * that do not depend on this machine's umask.
 */
import { chmodSync, lstatSync, lutimesSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installApp } from './app-files.ts';
import { installBase } from './base-files.ts';
import { fillCompileCache } from './compile-cache.ts';
import type { ImageKind } from './image-kinds.ts';
import { billFile, billOfMaterials, type NpmPackage } from './sbom.ts';

export type RootOptions = {
  readonly kind: ImageKind;
  /** The root of the repository. */
  readonly repository: string;
  /** An existing empty folder that becomes `/` in the image. */
  readonly root: string;
  /** An existing folder for temporary files. */
  readonly work: string;
  /** The time of all files, in seconds since the epoch. */
  readonly timestampSeconds: number;
};

/** @returns lines about the contents, for people @throws BuildError */
export function makeRoot({ kind, repository, root, work, timestampSeconds }: RootOptions): readonly string[] {
  const debian = installBase(root, work);
  const { tsconfig, packagesLeftOut } = kind;
  const folders = installApp({ repository, root, tsconfig, packagesLeftOut });
  fillCompileCache(root, kind);
  const npm = folders.map((folder) => npmPackage(repository, folder));
  const bill = billOfMaterials({
    title: kind.labels['org.opencontainers.image.title'] ?? kind.name,
    version: versionOf(repository),
    debian,
    osRelease: readFileSync(join(root, 'etc/os-release'), 'utf8'),
    node: process.versions.node,
    npm,
  });
  mkdirSync(dirname(join(root, billFile)), { recursive: true });
  writeFileSync(join(root, billFile), bill);
  settle(root, timestampSeconds);
  return [
    `base      ${debian.map(({ name, version }) => `${name} ${version}`).join(', ')}, node ${process.versions.node}`,
    `packages  ${npm.map(({ name }) => name).join(', ')}`,
    `size      ${mebibytes(sizeOf(root))} unpacked (node ${mebibytes(sizeOf(join(root, 'usr/local')))}, app ` +
      `${mebibytes(sizeOf(join(root, 'app')))})`,
  ];
}

/** The version of this project, from package.json. */
export function versionOf(repository: string): string {
  return (readJson(join(repository, 'package.json')) as { readonly version: string }).version;
}

function npmPackage(repository: string, folder: string): NpmPackage {
  const lock = readJson(join(repository, 'package-lock.json')) as {
    readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
  };
  const own = readJson(join(repository, folder, 'package.json')) as {
    readonly name: string;
    readonly version: string;
    readonly license?: unknown;
  };
  return {
    name: own.name,
    version: lock.packages[folder]?.version ?? own.version,
    license: typeof own.license === 'string' ? own.license : undefined,
    integrity: lock.packages[folder]?.integrity,
  };
}

/** Gives a file or folder, and all that it contains, the time and the permissions of an image. */
function settle(path: string, timestampSeconds: number): void {
  const stats = lstatSync(path);
  if (stats.isDirectory()) for (const name of readdirSync(path)) settle(join(path, name), timestampSeconds);
  if (!stats.isSymbolicLink()) chmodSync(path, permissionsOf(stats.mode, stats.isDirectory()));
  lutimesSync(path, timestampSeconds, timestampSeconds);
}

function permissionsOf(mode: number, isDirectory: boolean): number {
  const sticky = 0o1000;
  if ((mode & sticky) !== 0) return 0o1777;
  return isDirectory || (mode & 0o111) !== 0 ? 0o755 : 0o644;
}

function sizeOf(path: string): number {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

export function mebibytes(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
