/** Only requests with the token in the mounted file are accepted. Without the file, every request is refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bearer } from '../../../../api/access.ts';
import { paths } from '../../../../api/names.ts';
import { AccessFile, closedDoor } from '../../../../runtime/config/access-file.ts';
import { givenToken, writeAccess } from '../../../support/door.ts';
import { HandClock } from '../../../support/hand-clock.ts';

describe('AccessFile', () => {
  let folder = '';
  const clock = new HandClock();
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'access-file-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const refused = [
    undefined,
    '',
    givenToken,
    `bearer ${givenToken}`,
    `Bearer ${givenToken} `,
    `Bearer ${givenToken.slice(1)}`,
    `Bearer ${'b'.repeat(43)}`,
    'Bearer ',
    'Bearer undefined',
    'Bearer',
  ];

  it('accepts only requests with the token', async () => {
    await writeAccess(folder, givenToken, 0.25);
    const file = new AccessFile(folder, clock);
    assert.ok(file.isOpenTo(bearer(givenToken)));
    for (const text of refused) assert.ok(!file.isOpenTo(text), String(text));
    assert.deepEqual([file.token, file.sampleRate], [givenToken, 0.25]);
  });

  for (const [name, text] of [
    ['is missing', undefined],
    ['is empty', ''],
    ['is not JSON', '{'],
    ['has no token', '{"schema":1,"sampleRate":1}'],
    ['has an empty token', '{"schema":1,"token":""}'],
    ['is too long', `${' '.repeat(5_000)}{"schema":1,"token":"${givenToken}"}`],
  ] as const) {
    it(`refuses every request when the file ${name}`, () => {
      if (text !== undefined) writeFileSync(join(folder, paths.accessFile), text);
      const file = new AccessFile(folder, clock);
      for (const header of [bearer(givenToken), ...refused]) assert.ok(!file.isOpenTo(header));
      assert.deepEqual([file.token, file.sampleRate], [undefined, 0]);
    });
  }

  it('reads the file again when it is replaced or deleted', async () => {
    const file = new AccessFile(folder, clock);
    assert.equal(file.sampleRate, 0);
    await writeAccess(folder, givenToken, 0.1);
    await clock.advance(2_000);
    assert.equal(file.sampleRate, 0.1);
    await writeAccess(folder, 'b'.repeat(43));
    await clock.advance(2_000);
    assert.deepEqual(
      [file.isOpenTo(bearer(givenToken)), file.isOpenTo(bearer('b'.repeat(43))), file.sampleRate],
      [false, true, 0],
    );
    rmSync(join(folder, paths.accessFile));
    await clock.advance(2_000);
    assert.ok(!file.isOpenTo(bearer('b'.repeat(43))));
  });
});

describe('closedDoor', () => {
  it('refuses every request', () =>
    assert.deepEqual(
      [closedDoor.isOpenTo('Bearer undefined'), closedDoor.sampleRate, closedDoor.token],
      [false, 0, undefined],
    ));
});
