/** The limits of the files that hold manifests. */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { documentsAt, textOfFile } from '../../../../cli/offline/manifest-files.ts';

describe('textOfFile', () => {
  const folder = mkdtempSync(join(tmpdir(), 'manifest-files-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  function read(text: string, limitBytes: number): string {
    const path = join(folder, 'input');
    writeFileSync(path, text);
    const file = openSync(path, 'r');
    try {
      return textOfFile(file, 'standard input', limitBytes);
    } finally {
      closeSync(file);
    }
  }

  it('reads an input as long as its limit', () => assert.equal(read('é'.repeat(100_000), 200_000).length, 100_000));
  it('refuses a longer input, and names its limit', () =>
    assert.throws(
      () => read('x'.repeat(200_001), 200_000),
      /^\S*Error: standard input: is longer than the limit of 200000 bytes/,
    ));
  it('refuses a manifest of more than 4 MiB', () => {
    const path = join(folder, 'large.yaml');
    writeFileSync(path, '#'.repeat(4 * 2 ** 20 + 1));
    assert.throws(() => documentsAt(path), /large\.yaml: is longer than the limit of 4194304 bytes/);
  });
});
