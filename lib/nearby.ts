/**
 * What lies where a path leads to nothing: for messages about a misspelt one.
 *
 * Limits: ten names of the nearest folder that exists; hidden files and what file systems leave are not named.
 */
import { readdirSync } from 'node:fs';
import { dirname, sep } from 'node:path';

const maxListed = 10;
/** Not part of a model, wherever they lie: what file systems and tools leave in a volume. */
export const leftovers: ReadonlySet<string> = new Set(['lost+found', '.snapshot', '.git', '.Trash']);

/** Some of the paths, and how many more there are. */
export function listed(paths: readonly string[]): string {
  const more = paths.length - maxListed;
  return `${paths.slice(0, maxListed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Both are real paths. */
export function isInside(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/**
 * @param path absolute
 * @param boundary a folder above it; nothing outside is named
 * @returns `; FOLDER has a.onnx, b/`, or nothing where no folder can be read
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
