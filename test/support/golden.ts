/** Compares text with a checked-in golden file. `UPDATE_GOLDEN=1` rewrites the file; its diff is reviewed like code. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** @param path below test/ */
export function assertGolden(path: string, text: string): void {
  const file = join(root, path);
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return;
  }
  assert.ok(existsSync(file), `${path} does not exist: run with UPDATE_GOLDEN=1 and review it`);
  assert.equal(text, readFileSync(file, 'utf8'), `${path} differs`);
}

/** Matches a complete quote of a golden file in a document: a comment with the file's path, then a code block. */
const quoted = /<!-- (test\/\S+\.golden) -->\n```\n(.*?)^```$/gms;

/**
 * @returns a map from each quoted golden file to the quoted text; a key is the file's path from the repository's root
 */
export function quotesIn(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(quoted)].map(([, path = '', body = '']) => [path, body]));
}

/**
 * Compares a document's quotes of golden files with the current text; `UPDATE_GOLDEN=1` rewrites the quotes.
 *
 * @param page the document's path from the repository's root
 * @param told a map from each golden file to its current text; a key is the file's path below test/
 */
export function assertQuoted(page: string, told: ReadonlyMap<string, string>): void {
  const file = join(root, '..', page);
  const text = readFileSync(file, 'utf8');
  const wanted = text.replaceAll(quoted, (whole, path: string) => {
    const now = told.get(path.slice('test/'.length));
    return now === undefined ? whole : `<!-- ${path} -->\n\`\`\`\n${now}\`\`\``;
  });
  if (process.env['UPDATE_GOLDEN'] === '1' && wanted !== text) writeFileSync(file, wanted);
  else assert.equal(text, wanted, `${page} quotes outdated text: run with UPDATE_GOLDEN=1 and review it`);
  const quotes = quotesIn(wanted);
  for (const path of told.keys()) assert.ok(quotes.has(`test/${path}`), `${page} does not quote test/${path}`);
}
