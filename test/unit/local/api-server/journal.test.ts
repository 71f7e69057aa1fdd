/** Persistence of local mode's objects across processes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppError } from '../../../../api/errors.ts';
import { silentLogger } from '../../../../lib/log.ts';
import { createCore, type ApiDeps } from '../../../../local/api-server/core.ts';
import { openJournal } from '../../../../local/api-server/journal.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const configMaps = { apiVersion: 'v1', plural: 'configmaps' };
const configMap = (
  name: string,
  data = {},
): { apiVersion: string; kind: string; metadata: { name: string; namespace: string }; data: object } => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default' },
  data,
});

async function open(folder: string): Promise<{ core: ApiDeps; close: () => Promise<void> }> {
  const journal = await openJournal(folder, silentLogger);
  const core = createCore({ clock: new HandClock(), loaded: journal.loaded, follow: (store) => journal.follow(store) });
  return { core, close: () => journal.close() };
}

describe('openJournal', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'journal-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('restores the objects and continues their revisions', async () => {
    const first = await open(folder);
    const kept = first.core.objects.create(configMaps, configMap('kept', { a: 'b' }));
    first.core.objects.create(configMaps, configMap('gone'));
    first.core.objects.delete({ ...configMaps, namespace: 'default', name: 'gone' });
    const { revision } = first.core.store;
    await first.close();
    const second = await open(folder);
    assert.deepEqual(
      second.core.objects.list(configMaps).map((object) => object.metadata.name),
      ['kept'],
    );
    assert.deepEqual(second.core.objects.get({ ...configMaps, namespace: 'default', name: 'kept' }), kept);
    assert.equal(second.core.store.revision, revision);
    const next = second.core.objects.create(configMaps, configMap('next'));
    assert.ok(Number(next.metadata.resourceVersion) > revision);
    await second.close();
  });

  it('restores the objects when it was not closed, as after a kill', async () => {
    const first = await open(folder);
    first.core.objects.create(configMaps, configMap('kept'));
    const second = await open(folder);
    assert.deepEqual(
      second.core.objects.list(configMaps).map((object) => object.metadata.name),
      ['kept'],
    );
    await Promise.all([first.close(), second.close()]);
  });

  it('restores custom resources', async () => {
    const definitions = { apiVersion: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions' };
    const first = await open(folder);
    const schema = {
      openAPIV3Schema: {
        type: 'object',
        properties: { spec: { type: 'object', properties: { a: { type: 'string' } } } },
      },
    };
    first.core.objects.create(definitions, {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: 'things.example.com' },
      spec: {
        group: 'example.com',
        scope: 'Namespaced',
        names: { plural: 'things', kind: 'Thing' },
        versions: [{ name: 'v1', served: true, storage: true, schema }],
      },
    });
    await first.close();
    const second = await open(folder);
    const made = second.core.objects.create(
      { apiVersion: 'example.com/v1', plural: 'things' },
      { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 't', namespace: 'default' }, spec: { a: 'b' } },
    );
    assert.equal(made.kind, 'Thing');
    await second.close();
  });

  it('makes a watcher of an earlier process list again, unless it has the newest revision', async () => {
    const first = await open(folder);
    const old = first.core.objects.create(configMaps, configMap('a'));
    first.core.objects.create(configMaps, configMap('b'));
    const newest = first.core.store.revision;
    await first.close();
    const { core, close } = await open(folder);
    assert.equal(core.store.remembers('configmaps', Number(old.metadata.resourceVersion)), false);
    assert.equal(core.store.remembers('configmaps', newest), true);
    await close();
  });

  it('ignores a truncated last line', async () => {
    const first = await open(folder);
    first.core.objects.create(configMaps, configMap('a'));
    const second = await open(folder);
    second.core.objects.create(configMaps, configMap('b'));
    appendFileSync(join(folder, 'journal.jsonl'), '{"type":"ADDED","table":"configmaps","revision":99');
    const third = await open(folder);
    assert.deepEqual(
      third.core.objects.list(configMaps).map((object) => object.metadata.name),
      ['a', 'b'],
    );
    await Promise.all([first.close(), second.close(), third.close()]);
  });

  it('keeps secrets from other users', async () => {
    const { close } = await open(folder);
    await close();
    const { statSync } = await import('node:fs');
    for (const file of ['objects.json', 'journal.jsonl'])
      assert.equal(statSync(join(folder, file)).mode & 0o077, 0, file);
  });

  for (const text of ['{"revision":', '[]', '{"revision":7}', '{"tables":{}}'])
    it(`refuses the invalid snapshot ${text}, with its path, and keeps the file`, async () => {
      const path = join(folder, 'objects.json');
      writeFileSync(path, text);
      await assert.rejects(
        open(folder),
        (error: unknown) => error instanceof AppError && error.code === 'BAD_CONFIG' && error.message.includes(path),
      );
      assert.equal(readFileSync(path, 'utf8'), text);
    });

  it('refuses a folder that cannot be created', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await assert.rejects(open(file), (error: unknown) => error instanceof AppError && error.code === 'FILE_UNREADABLE');
  });

  it('has on disk every write that was answered before a SIGKILL', async () => {
    const child = spawn(
      process.execPath,
      [join(import.meta.dirname, '../../../support/programs/journal-writer.ts'), folder],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const answered: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      answered.push(line);
      if (answered.length === 200) break;
    }
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    const { core, close } = await open(folder);
    const names = new Set(core.objects.list(configMaps).map((object) => object.metadata.name));
    assert.deepEqual(
      answered.filter((name) => !names.has(name)),
      [],
    );
    await close();
    assert.ok(readFileSync(join(folder, 'objects.json'), 'utf8').length > 0);
  });
});
