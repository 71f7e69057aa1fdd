/**
 * Does the work of a mount namespace, which containers here do not have: rewrites mount paths in a container's words to
 * folders of this machine. The words are args, commands, env values and working directories.
 * Owns: which part of a word is a mount path. A mount path must begin at the start of the word, or after a character
 * that is usually not part of a path, such as `=` in `--config=/etc/x`. It must end with a whole part of a path:
 * `/data` is found in `/data/a`, but not in `/database`. When several mount paths fit, the longest is used.
 * Limits: a mount path that is built into a program is not rewritten. Pure.
 */

export type PathMapping = { readonly mountPath: string; readonly hostPath: string };

/** @returns a function that rewrites one word */
export function pathRewriter(mappings: readonly PathMapping[]): (word: string) => string {
  const byPath = new Map(mappings.map(({ mountPath, hostPath }) => [trimSlashes(mountPath), hostPath]));
  byPath.delete('');
  if (byPath.size === 0) return (word) => word;
  const longestFirst = [...byPath.keys()].sort((a, b) => b.length - a.length).map(escape);
  const pattern = new RegExp(`(?<![\\w./~-])(?:${longestFirst.join('|')})(?![\\w.~-])`, 'g');
  // Use a function, because `$` has a special meaning in a replacement string.
  return (word) => word.replace(pattern, (found) => byPath.get(found) ?? found);
}

function trimSlashes(path: string): string {
  return path.replace(/\/+$/, '');
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
