/** Which bytes of an unfinished download `prepare` trusts after a kill and after a reboot. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Staging } from '../../../../../runtime/prepare/cache/staging.ts';
import { sha256 } from '../../../../support/artifact.ts';

describe('Staging', () => {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'staging-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** A download that was interrupted with 4 bytes on disk. */
  async function interrupted(
    said: { validator?: string; totalBytes?: number },
    edit = (text: string) => text,
  ): Promise<Staging> {
    const staging = await Staging.open(folder);
    await staging.begin('m', said);
    await writeFile(staging.pathOf('m'), '1234');
    const parts = join(folder, 'parts.json');
    await writeFile(parts, edit(await readFile(parts, 'utf8')));
    return await Staging.open(folder);
  }
  const anotherBoot = (text: string) => text.replace(/"bootId":"[^"]*"/, '"bootId":"before"');

  // prettier-ignore
  const rows: { name: string; said?: { validator?: string; totalBytes?: number };
    edit?: (text: string) => string; pinned: boolean; want: number }[] = [
    { name: 'keeps bytes with a validator', said: { validator: '"a"' }, pinned: false, want: 4 },
    { name: 'keeps bytes that a digest will verify', pinned: true, want: 4 },
    { name: 'discards bytes without a validator or digest', pinned: false, want: 0 },
    { name: 'discards bytes from before a reboot that have only a validator',
      said: { validator: '"a"' }, edit: anotherBoot, pinned: false, want: 0 },
    { name: 'keeps bytes from before a reboot that a digest will verify',
      said: { validator: '"a"' }, edit: anotherBoot, pinned: true, want: 4 },
    { name: 'discards bytes of a file that is longer than expected',
      said: { validator: '"a"', totalBytes: 3 }, pinned: true, want: 0 },
    { name: 'discards everything when parts.json is broken',
      said: { validator: '"a"' }, edit: () => '{"m":', pinned: true, want: 0 },
  ];
  for (const { name, said = {}, edit, pinned, want } of rows) {
    it(name, async () => assert.equal((await (await interrupted(said, edit)).kept('m', pinned)).bytes, want));
  }

  it('recognises a finished file', async () => {
    const file = { path: 'm', bytes: 4, digest: sha256('1234') };
    await (await interrupted({})).finish(file);
    assert.deepEqual(await (await Staging.open(folder)).finished('m'), file);
  });

  it('does not trust a finished file that was changed', async () => {
    const staging = await interrupted({});
    await staging.finish({ path: 'm', bytes: 4, digest: sha256('1234') });
    await utimes(staging.pathOf('m'), 1, 1);
    assert.equal(await staging.finished('m'), undefined);
  });
});
