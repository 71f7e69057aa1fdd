/**
 * The cache of fetched models and optimised forms, addressed by content.
 *
 * Owns:   the layout: `models/<digest>/` with files and entry.json, `optimised/<key>/`, `partial/<key>/`. One rename
 *         creates an entry of `models/` or `optimised/`, so it appears complete. The next prepare resumes `partial/`.
 * Limits: the cache holds at most `maxBytes`, not counting the entries in use. An entry is in use if the last prepare
 *         passed it to the server, if a live process has marked it, or if this process requested it.
 */
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { digestOf, hashFile, hexOf, newDigest } from './digest.ts';
import { syncFolder, writeAtomically } from './durable-file.ts';
import type { SourceFile } from '../prepared.ts';
import { fateOf, ownMark, parseMark } from './process-mark.ts';
import { Staging } from './staging.ts';

export type ModelCacheDeps = { readonly maxBytes: number; readonly clock: Clock; readonly logger: Logger };

type StoredFile = SourceFile & { readonly mtimeMs: number };
type EntryFile = { readonly digest: string; readonly files: readonly StoredFile[]; readonly verifiedAtMs: number };

/**
 * How long a file is trusted if its size and modification time are unchanged, in milliseconds. After that time, its
 * bytes are hashed again.
 */
const believeMs = 7 * 24 * 3_600_000;
const forgetUserMs = 30 * 24 * 3_600_000;
const kinds = ['models', 'optimised', 'partial'] as const;
type Kind = (typeof kinds)[number];

export class ModelCache {
  readonly folder: string;
  readonly #deps: ModelCacheDeps;
  /** Entries that this process uses, such as `models/…`. */
  readonly #used = new Set<string>();

  private constructor(folder: string, deps: ModelCacheDeps) {
    this.folder = folder;
    this.#deps = deps;
  }

  static async open(folder: string, deps: ModelCacheDeps): Promise<ModelCache> {
    for (const kind of [...kinds, 'users']) await mkdir(join(folder, kind), { recursive: true });
    return new ModelCache(folder, deps);
  }

  async staging(key: string): Promise<Staging> {
    await this.#use('partial', key);
    return await Staging.open(join(this.folder, 'partial', key));
  }

  /**
   * Looks up a model and verifies that it matches its digest.
   * @returns its folder and files; undefined when the model is not in the cache, or is damaged
   */
  async model(digest: string): Promise<{ root: string; files: readonly SourceFile[] } | undefined> {
    const place = join(this.folder, 'models', hexOf(digest));
    const entry = await readEntry(place);
    if (entry === undefined) return undefined;
    if (!(await this.#verify(place, entry))) {
      this.#deps.logger.warn('cached model was damaged; fetching it again', { digest });
      await rm(place, { recursive: true, force: true });
      return undefined;
    }
    await this.#use('models', hexOf(digest));
    return {
      root: join(place, 'files'),
      files: entry.files.map(({ path, bytes, digest: of }) => ({ path, bytes, digest: of })),
    };
  }

  /**
   * Turns a complete staging folder into an entry. If another process has created the entry in the meantime, that entry
   * stays, because it has the same bytes.
   */
  async commit(staging: Staging, digest: string, files: readonly SourceFile[]): Promise<string> {
    const place = join(this.folder, 'models', hexOf(digest));
    const stored = await Promise.all(
      files.map(async (file) => ({ ...file, mtimeMs: (await stat(staging.pathOf(file.path))).mtimeMs })),
    );
    await writeEntry(staging.folder, { digest, files: stored, verifiedAtMs: this.#deps.clock.now() });
    await rm(join(staging.folder, 'parts.json'), { force: true });
    await this.#use('models', hexOf(digest));
    await rename(staging.folder, place).catch(async (error: unknown) => {
      if ((await readEntry(place)) === undefined) throw error;
      await staging.remove();
    });
    await syncFolder(join(this.folder, 'models'));
    return join(place, 'files');
  }

  /** The folder for the optimised form of a model. The caller checks whether it has content. */
  async optimised(key: string): Promise<string> {
    await this.#use('optimised', key);
    return join(this.folder, 'optimised', key);
  }

  /**
   * Adds up the sizes of the unused entries, the most recently used first. Removes each entry with which the sum would
   * exceed `maxBytes`. Entries in use stay and do not count.
   * @param keep paths that were passed to the server; their entries are in use
   * @returns bytes freed
   */
  async evict(keep: readonly string[], maxBytes = this.#deps.maxBytes): Promise<number> {
    const used = await this.#inUse(keep);
    const idle = (await this.#list()).filter((entry) => !used.has(entry.name)).sort((a, b) => b.usedAtMs - a.usedAtMs);
    let kept = 0;
    let freed = 0;
    for (const entry of idle) {
      kept += entry.bytes;
      if (kept <= maxBytes) continue;
      await rm(join(this.folder, entry.name), { recursive: true, force: true });
      this.#deps.logger.info('cache entry removed', { entry: entry.name, bytes: entry.bytes });
      kept -= entry.bytes;
      freed += entry.bytes;
    }
    return freed;
  }

  async #use(kind: Kind, key: string): Promise<void> {
    this.#used.add(`${kind}/${key}`);
    const now = this.#deps.clock.now() / 1000;
    await utimes(join(this.folder, kind, key), now, now).catch(() => {});
    const mark = await ownMark();
    await writeAtomically(
      join(this.folder, 'users', `${mark.host}-${mark.pid}.json`),
      JSON.stringify({ ...mark, entries: [...this.#used] }),
    );
  }

  async #inUse(keep: readonly string[]): Promise<Set<string>> {
    const used = new Set(this.#used);
    for (const path of keep) {
      const inside = path.startsWith(`${this.folder}/`) ? path.slice(this.folder.length + 1) : '';
      used.add(inside.split('/').slice(0, 2).join('/'));
    }
    for (const name of await readdir(join(this.folder, 'users'))) {
      const path = join(this.folder, 'users', name);
      const text = await readFile(path, 'utf8').catch(() => '');
      if (await this.#isGone(path, text)) await rm(path, { force: true });
      else for (const entry of entriesOf(text)) used.add(entry);
    }
    return used;
  }

  /**
   * This process cannot check whether a process on another host still runs, so the mark of such a process expires after
   * a month.
   */
  async #isGone(path: string, text: string): Promise<boolean> {
    const mark = parseMark(text);
    const fate = mark === undefined ? 'gone' : await fateOf(mark);
    if (fate !== 'unknown') return fate === 'gone';
    const found = await stat(path).catch(() => undefined);
    return found === undefined || this.#deps.clock.now() - found.mtimeMs > forgetUserMs;
  }

  async #list(): Promise<{ name: string; bytes: number; usedAtMs: number }[]> {
    const entries: { name: string; bytes: number; usedAtMs: number }[] = [];
    for (const kind of kinds) {
      for (const key of await readdir(join(this.folder, kind))) {
        const place = join(this.folder, kind, key);
        const found = await stat(place).catch(() => undefined);
        if (found !== undefined)
          entries.push({ name: `${kind}/${key}`, bytes: await folderBytes(place), usedAtMs: found.mtimeMs });
      }
    }
    return entries;
  }

  async #verify(place: string, entry: EntryFile): Promise<boolean> {
    const now = this.#deps.clock.now();
    const fresh = now - entry.verifiedAtMs < believeMs && entry.verifiedAtMs <= now;
    if (fresh && (await everyFile(entry.files, (file) => looksTheSame(place, file)))) return true;
    if (!(await everyFile(entry.files, (file) => isTheSame(place, file)))) return false;
    const files = await Promise.all(
      entry.files.map(async (file) => ({ ...file, mtimeMs: (await stat(join(place, 'files', file.path))).mtimeMs })),
    );
    await writeEntry(place, { ...entry, files, verifiedAtMs: now });
    return true;
  }
}

async function everyFile(
  files: readonly StoredFile[],
  check: (file: StoredFile) => Promise<boolean>,
): Promise<boolean> {
  for (const file of files) if (!(await check(file))) return false;
  return true;
}

async function looksTheSame(place: string, file: StoredFile): Promise<boolean> {
  const found = await stat(join(place, 'files', file.path)).catch(() => undefined);
  return found?.size === file.bytes && found.mtimeMs === file.mtimeMs;
}

async function isTheSame(place: string, file: StoredFile): Promise<boolean> {
  const hash = newDigest();
  return await hashFile(hash, join(place, 'files', file.path)).then(
    () => digestOf(hash) === file.digest,
    () => false,
  );
}

async function readEntry(place: string): Promise<EntryFile | undefined> {
  try {
    const entry = JSON.parse(await readFile(join(place, 'entry.json'), 'utf8')) as EntryFile | null;
    return Array.isArray(entry?.files) ? (entry ?? undefined) : undefined;
  } catch {
    return undefined;
  }
}

async function writeEntry(place: string, entry: EntryFile): Promise<void> {
  await writeAtomically(join(place, 'entry.json'), JSON.stringify(entry));
}

function entriesOf(text: string): string[] {
  const { entries } = JSON.parse(text) as { entries?: unknown };
  return Array.isArray(entries) ? entries.filter((entry) => typeof entry === 'string') : [];
}

async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
