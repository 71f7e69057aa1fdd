/** Models on a mounted volume: used in place, and verified at every prepare. */
import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ErrorCode } from '../../api/errors.ts';
import type { SourceConfig } from '../../api/runtime-config.ts';
import { folderDigest } from '../../runtime/prepare/cache/digest.ts';
import { sha256 } from '../support/artifact.ts';
import { code, content, FetchWorld } from '../support/fetching.ts';

describe('fetching a model from a volume', () => {
  const world = FetchWorld.forEachTest();
  let volume = '';
  beforeEach(async () => {
    volume = join(world.folder, 'volume');
    await mkdir(join(volume, 'minilm', 'sub'), { recursive: true });
    await writeFile(join(volume, 'minilm', 'model.onnx'), content);
    await writeFile(join(volume, 'minilm', 'sub', 'x'), 'x');
  });
  const from = (uri: string, given: Partial<SourceConfig> & { resolvedDigest?: string } = {}) => {
    const { resolvedDigest, ...source } = given;
    return world.fetchFrom({ uri, ...source }, { sourceDir: volume, resolvedDigest });
  };

  it('uses the files in place', async () => {
    const got = await from('pvc://models/minilm/');
    assert.deepEqual([got.root, got.files.map(({ path }) => path)], [join(volume, 'minilm'), ['model.onnx', 'sub/x']]);
    assert.equal(
      got.digest,
      folderDigest([
        { path: 'model.onnx', digest: sha256(content) },
        { path: 'sub/x', digest: sha256('x') },
      ]),
    );
  });

  it('accepts a single file with its own digest', async () => {
    assert.equal((await from('pvc://models/minilm/model.onnx', { digest: sha256(content) })).digest, sha256(content));
  });

  it('refuses other bytes than in the spec', async () => {
    await assert.rejects(
      from('pvc://models/minilm/', { digest: sha256('other') }),
      code('DIGEST_MISMATCH', /minilm\/ is/),
    );
  });

  it('refuses changed bytes at the next pod', async () => {
    const { digest } = await from('pvc://models/minilm/');
    await writeFile(join(volume, 'minilm', 'model.onnx'), 'changed');
    await assert.rejects(from('pvc://models/minilm/', { resolvedDigest: digest }), code('DIGEST_MISMATCH'));
  });

  it('uses only the files that the spec names', async () => {
    const files = [{ path: 'model.onnx', digest: sha256(content) }];
    assert.equal((await from('pvc://models/minilm/', { files })).digest, folderDigest(files));
  });

  it('ignores files that file systems keep in a volume', async () => {
    await mkdir(join(volume, 'lost+found'));
    await mkdir(join(volume, '..2026_data'));
    await writeFile(join(volume, '..2026_data', 'y'), 'y');
    assert.deepEqual(
      (await from('pvc://models/')).files.map(({ path }) => path),
      ['minilm/model.onnx', 'minilm/sub/x'],
    );
  });

  it('follows links inside the volume', async () => {
    await symlink('sub/x', join(volume, 'minilm', 'link'));
    assert.ok(
      (await from('pvc://models/minilm/')).files.some(({ path, digest }) => path === 'link' && digest === sha256('x')),
    );
  });

  // prettier-ignore
  const refused: { name: string; before?: () => Promise<unknown>; uri: string; want: ErrorCode; message: RegExp }[] = [
    { name: 'a link out of the volume', before: () => symlink('/etc/hostname', join(volume, 'minilm', 'out')),
      uri: 'pvc://models/minilm/', want: 'SOURCE_INVALID', message: /place outside the volume/ },
    { name: 'links in a cycle', before: () => symlink('.', join(volume, 'minilm', 'again')),
      uri: 'pvc://models/minilm/', want: 'SOURCE_INVALID', message: /nested more than 32 deep/ },
    { name: 'a missing folder', uri: 'pvc://models/other/',
      want: 'SOURCE_MISSING', message: /the file or folder does not exist; .* has minilm\// },
    { name: 'a missing file, listing the existing ones', uri: 'pvc://models/minilm/deep/gone.onnx',
      want: 'SOURCE_MISSING', message: /the file or folder does not exist; .*minilm has .*model\.onnx/ },
    { name: 'an empty folder', before: () => mkdir(join(volume, 'empty')),
      uri: 'pvc://models/empty/', want: 'SOURCE_MISSING', message: /is empty/ },
    { name: 'a file named as a folder', uri: 'pvc://models/minilm/model.onnx/',
      want: 'SOURCE_INVALID', message: /names a file/ },
    { name: 'a folder named as a file', uri: 'pvc://models/minilm',
      want: 'SOURCE_INVALID', message: /end the URI with/ },
  ];
  for (const { name, before: prepareFor, uri, want, message } of refused) {
    it(`refuses ${name}`, async () => {
      await prepareFor?.();
      await assert.rejects(from(uri), code(want, message));
    });
  }

  it('names a file that may not be read', async function () {
    if (process.getuid?.() === 0) return this.skip();
    await chmod(join(volume, 'minilm', 'model.onnx'), 0);
    await assert.rejects(from('pvc://models/minilm/'), code('SOURCE_MISSING', /EACCES/));
  });

  it('refuses a claim that is not mounted', async () => {
    await assert.rejects(world.fetchFrom({ uri: 'pvc://models/x' }), code('SOURCE_INVALID', /'models' is not mounted/));
  });
});
