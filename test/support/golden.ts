/** Compares text with a checked-in file; `UPDATE_GOLDEN=1` rewrites it, and the diff is reviewed like code. */
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
