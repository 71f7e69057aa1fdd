/**
 * A folder in which a source's files are collected before it becomes a cache entry.
 *
 * Owns:  `parts.json`, the state of each file. The folder can be opened again after any interruption. After a SIGKILL,
 *        the written bytes can be used, because the kernel's cache still has all of them. After a reboot (another boot
 *        id), a file may be longer than the part of it that reached the disk. Its bytes are then fetched again, unless
 *        a digest will verify the complete file.
 */
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from './durable-file.ts';
import type { SourceFile } from '../prepared.ts';
import type { Validator } from '../fetch/source.ts';

type Part =
  | { readonly kind: 'Begun'; readonly bootId: string; readonly validator?: Validator; readonly totalBytes?: number }
  | { readonly kind: 'Done'; readonly file: SourceFile; readonly mtimeMs: number };

export type Kept = { readonly bytes: number; readonly validator?: Validator; readonly totalBytes?: number };

const nothingKept: Kept = { bytes: 0 };

export class Staging {
  readonly folder: string;
  readonly #bootId: string;
  readonly #parts: Map<string, Part>;

  private constructor(folder: string, bootId: string, parts: Map<string, Part>) {
    this.folder = folder;
    this.#bootId = bootId;
    this.#parts = parts;
  }

  static async open(folder: string): Promise<Staging> {
    await mkdir(join(folder, 'files'), { recursive: true });
    const text = await readFile(join(folder, 'parts.json'), 'utf8').catch(() => '{}');
    return new Staging(folder, await readBootId(), parseParts(text));
  }

  /** Where to write the file; `path` is relative to the source. */
  pathOf(path: string): string {
    return join(this.folder, 'files', path);
  }

  /** The file, if it was completed earlier and is unchanged. */
  async finished(path: string): Promise<SourceFile | undefined> {
    const part = this.#parts.get(path);
    if (part?.kind !== 'Done') return undefined;
    const found = await stat(this.pathOf(path)).catch(() => undefined);
    return found?.size === part.file.bytes && found.mtimeMs === part.mtimeMs ? part.file : undefined;
  }

  /**
   * How many bytes of an incomplete file can be kept.
   * @param pinned true if a digest will verify the complete file
   */
  async kept(path: string, pinned: boolean): Promise<Kept> {
    const part = this.#parts.get(path);
    const found = await stat(this.pathOf(path)).catch(() => undefined);
    if (part?.kind !== 'Begun' || found === undefined) return nothingKept;
    const { validator, totalBytes } = part;
    const held = validator !== undefined && part.bootId === this.#bootId && part.bootId !== '';
    if ((!pinned && !held) || found.size > (totalBytes ?? Infinity)) return nothingKept;
    return { bytes: found.size, ...given({ validator, totalBytes }) };
  }

  /** Records what the source reported about the file. Call this before writing the file's first byte. */
  async begin(path: string, said: { readonly validator?: Validator; readonly totalBytes?: number }): Promise<void> {
    await this.#save(path, { kind: 'Begun', bootId: this.#bootId, ...given(said) });
  }

  /** Records that the file is complete, verified and synced to disk. */
  async finish(file: SourceFile): Promise<void> {
    const { mtimeMs } = await stat(this.pathOf(file.path));
    await this.#save(file.path, { kind: 'Done', file, mtimeMs });
  }

  async forget(path: string): Promise<void> {
    await rm(this.pathOf(path), { force: true });
    this.#parts.delete(path);
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async #save(path: string, part: Part): Promise<void> {
    this.#parts.set(path, part);
    await writeAtomically(join(this.folder, 'parts.json'), JSON.stringify(Object.fromEntries(this.#parts)));
  }
}

function given({
  validator,
  totalBytes,
}: {
  readonly validator?: Validator | undefined;
  readonly totalBytes?: number | undefined;
}): { validator?: Validator; totalBytes?: number } {
  return { ...(validator === undefined ? {} : { validator }), ...(totalBytes === undefined ? {} : { totalBytes }) };
}

/** Parses parts.json; an unreadable file counts as absent. */
function parseParts(text: string): Map<string, Part> {
  try {
    return new Map(Object.entries(JSON.parse(text) as Record<string, Part>));
  } catch {
    return new Map();
  }
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}
