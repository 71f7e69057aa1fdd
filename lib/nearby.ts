/**
 * Suggestions for error messages: which files exist near a path that does not exist.
 * Limits: at most ten names, from the nearest parent folder that exists. Hidden files, and files that file systems or
 * tools create, are left out.
 */
import { readdirSync } from 'node:fs';
import { dirname, sep } from 'node:path';

const maxListed = 10;
/** Entries that file systems and tools leave in a volume, which are never part of a model. */
export const leftovers: ReadonlySet<string> = new Set(['lost+found', '.snapshot', '.git', '.Trash']);

/** A text with the first few paths and the number of the other paths. */
export function listed(paths: readonly string[]): string {
  const more = paths.length - maxListed;
  return `${paths.slice(0, maxListed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Whether the path is below the folder. Both must be real paths, without symbolic links. */
export function isInside(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/**
 * @param path absolute
 * @param boundary a folder above `path`; names outside this folder are not shown
 * @returns `; FOLDER has a.onnx, b/` or `; FOLDER is empty`; an empty string when no folder can be read
 */
export function nearby(path: string, boundary: string): string {
  for (let folder = dirname(path); folder === boundary || isInside(boundary, folder); folder = dirname(folder)) {
    const names = namesIn(folder);
    if (names !== undefined) return names.length === 0 ? `; ${folder} is empty` : `; ${folder} has ${listed(names)}`;
    if (folder === dirname(folder)) break;
  }
  return '';
}

function namesIn(folder: string): readonly string[] | undefined {
  try {
    const entries = readdirSync(folder, { withFileTypes: true }).filter(
      ({ name }) => !name.startsWith('.') && !leftovers.has(name),
    );
    return entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  } catch {
    return undefined;
  }
}
