import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDataFolder } from '../../../local/data-folder.ts';

describe('openDataFolder', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'onnx-data-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  it('makes a folder for its owner alone and releases it', () => {
    const folder = openDataFolder(join(dir, 'deep', 'state'));
    assert.equal(statSync(folder.dir).mode & 0o077, 0);
    folder.close();
    assert.ok(existsSync(folder.dir));
    openDataFolder(folder.dir).close();
  });

  it('removes a temporary folder', () => {
    const folder = openDataFolder(undefined);
    assert.ok(existsSync(folder.dir));
    folder.close();
    assert.equal(existsSync(folder.dir), false);
  });

  it('refuses a folder that another process holds, with its process id', () => {
    const folder = openDataFolder(dir);
    assert.throws(() => openDataFolder(dir), new RegExp(`by another run of local mode \\(process ${process.pid}\\)`));
    folder.close();
  });

  it('takes over a folder whose holder has ended, even when its process id was reused', () => {
    writeFileSync(join(dir, 'lock'), `${process.pid} 1\n`);
    const folder = openDataFolder(dir);
    assert.notEqual(readFileSync(join(dir, 'lock'), 'utf8'), `${process.pid} 1\n`);
    folder.close();
  });

  it('refuses a folder with other files', () => {
    writeFileSync(join(dir, 'thesis.txt'), 'mine');
    assert.throws(() => openDataFolder(dir), /contains other files \(thesis\.txt\)/);
    assert.equal(readFileSync(join(dir, 'thesis.txt'), 'utf8'), 'mine');
  });

  it('accepts an empty folder, and the same one again', () => {
    openDataFolder(dir).close();
    writeFileSync(join(dir, 'state'), '');
    openDataFolder(dir).close();
  });

  it('says why a folder cannot be made', () => {
    writeFileSync(join(dir, 'file'), '');
    assert.throws(() => openDataFolder(join(dir, 'file', 'state')), /cannot be used: .*ENOTDIR/);
  });
});
