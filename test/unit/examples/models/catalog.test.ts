import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { catalog } from '../../../../examples/models/catalog.ts';
import { catalogTable } from '../../../../examples/models/table.ts';

describe('the catalogue of models', () => {
  it('equals the table in docs/models.md', async () => {
    const page = await readFile(new URL('../../../../docs/models.md', import.meta.url), 'utf8');
    assert.ok(
      page.includes(catalogTable(catalog)),
      'run npm run models -- --table and put its output into docs/models.md',
    );
  });

  it('names exact versions and full digests', () => {
    for (const { from, reads } of catalog) {
      assert.match(from.spec, /@\d+\.\d+\.\d+$/);
      for (const { sha256 } of reads) assert.match(sha256, /^[0-9a-f]{64}$/);
    }
  });
});
