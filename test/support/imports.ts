/**
 * The files that a source file imports: static, side-effect, re-exporting and dynamic imports, workers and child
 * programs named by `new URL('./x.ts', import.meta.url)`, and CommonJS `require`. The text is searched without parsing:
 * an import inside a comment counts, too, which is harmless.
 */

const forms: readonly RegExp[] = [
  /(?:^|[\s;}])(?:import|export)\s[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/g,
  /(?:^|[\s;}])import\s*['"]([^'"]+)['"]/g,
  /\bimport\s*\(\s*['"`]([^'"`]+)['"`]/g,
  /\brequire\s*\(\s*['"]([^'"]+)['"]\s*\)/g,
  /\bimport\.meta\.resolve\s*\(\s*['"]([^'"]+)['"]/g,
  /\bnew URL\s*\(\s*['"](\.[^'"]+)['"]\s*,\s*import\.meta\.url/g,
];

/** The specifiers of all imports as they are written, without duplicates. */
export function importsOf(source: string): readonly string[] {
  return [...new Set(forms.flatMap((form) => [...source.matchAll(form)].map((match) => match[1] ?? '')))];
}

/** The source text without comments. A `//` directly after a colon or a quote does not begin a comment. */
export function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}
