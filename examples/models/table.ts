/**
 * The catalogue as a Markdown table, for docs/models.md.
 *
 * Pure.
 */
import type { Recipe } from './catalog.ts';

export function catalogTable(recipes: readonly Recipe[]): string {
  const rows = recipes.map(({ name, what, licence, origin, from, bytes }) => [
    `\`${name}/\``,
    what,
    origin,
    licence,
    `\`npm:${from.spec}\` (${from.licence}, ${(from.downloadBytes / 1e6).toFixed(1)} MB)`,
    `${(bytes / 1e6).toFixed(1)} MB`,
  ]);
  const head = ['folder', 'what', 'origin', 'licence', 'fetched from', 'on disk'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
