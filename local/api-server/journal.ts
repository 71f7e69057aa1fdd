/**
 * Keeps the store on disk: a snapshot, and a journal with a line for every write since the snapshot.
 * Owns: the two files of the data folder. A change is written to the journal before the request is answered, so it
 * survives a SIGKILL. The journal is synced (fsync) within a second, so a power cut loses at most the changes of the
 * last second.
 * Limits: at every start, and when the journal exceeds 32 MiB, it is replaced by a new snapshot and an empty journal.
 * Ends: `close` replaces the journal in the same way, and syncs the snapshot to disk.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { StoredObject } from '../objects.ts';
import { isRecord } from '../../api/record.ts';
import { listOf, numberAt, stringAt } from '../../lib/json.ts';
import { storeKeyOf, type StoreChange, type Store, type StoreSnapshot } from './store.ts';

export interface Journal {
  readonly loaded: StoreSnapshot;
  follow(store: Store): void;
  close(): Promise<void>;
}

const snapshotFile = 'objects.json';
const journalFile = 'journal.jsonl';
const maxJournalBytes = 32 * 1024 * 1024;
const syncEveryMs = 1_000;

/** @throws AppError FILE_UNREADABLE, or BAD_CONFIG when the snapshot is not JSON */
export async function openJournal(folder: string, logger: Logger): Promise<Journal> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new AppError('FILE_UNREADABLE', { path: folder, why: messageOf(error) }, { cause: error });
  }
  const snapshot = await readSnapshot(join(folder, snapshotFile));
  const loaded = replay(snapshot, await readText(join(folder, journalFile)), logger);
  return new DiskJournal(folder, loaded);
}

class DiskJournal implements Journal {
  readonly loaded: StoreSnapshot;
  readonly #folder: string;
  #store: Store | undefined;
  #file: number | undefined;
  #bytes = 0;
  #syncer: NodeJS.Timeout | undefined;

  constructor(folder: string, loaded: StoreSnapshot) {
    this.#folder = folder;
    this.loaded = loaded;
  }

  follow(store: Store): void {
    this.#store = store;
    this.#fold();
    store.onWrite((change) => this.#append(change));
  }

  async close(): Promise<void> {
    clearTimeout(this.#syncer);
    if (this.#store !== undefined) this.#fold();
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #append(change: StoreChange): void {
    if (this.#file === undefined) return;
    const { type, table, revision, object } = change;
    const line = Buffer.from(`${JSON.stringify({ type, table, revision, object })}\n`);
    writeSync(this.#file, line);
    this.#bytes += line.length;
    if (this.#bytes > maxJournalBytes) this.#fold();
    else this.#syncer ??= setTimeout(() => this.#sync(), syncEveryMs).unref();
  }

  #sync(): void {
    this.#syncer = undefined;
    if (this.#file !== undefined) fsyncSync(this.#file);
  }

  /** Writes a new snapshot under a temporary name, renames it atomically, and starts an empty journal. */
  #fold(): void {
    const store = this.#store;
    if (store === undefined) return;
    const { revision, tables } = store.snapshot();
    const path = join(this.#folder, snapshotFile);
    writeSynced(`${path}.new`, JSON.stringify({ revision, tables: Object.fromEntries(tables) }));
    renameSync(`${path}.new`, path);
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = openSync(join(this.#folder, journalFile), 'w', 0o600);
    this.#bytes = 0;
  }
}

function writeSynced(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  writeFileSync(file, text);
  fsyncSync(file);
  closeSync(file);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new AppError('FILE_UNREADABLE', { path, why: messageOf(error) }, { cause: error });
  }
}

async function readSnapshot(path: string): Promise<StoreSnapshot> {
  const text = await readText(path);
  if (text === '') return { revision: 1, tables: new Map() };
  try {
    const found: unknown = JSON.parse(text);
    const revision = numberAt(found, 'revision');
    // The next start overwrites the snapshot, so a file with other contents must not count as an empty store.
    if (!isRecord(found) || !isRecord(found['tables']) || revision === undefined)
      throw new Error('tables or revision is missing');
    const tables = Object.entries(found['tables']).map(
      ([table, objects]) => [table, listOf(objects) as StoredObject[]] as const,
    );
    return { revision, tables: new Map(tables) };
  } catch (error) {
    throw new AppError(
      'BAD_CONFIG',
      { where: path, problem: `is not a snapshot of local mode (${messageOf(error)}): remove it to start empty` },
      { cause: error },
    );
  }
}

/**
 * Adds the writes of the journal to the snapshot. A line that cannot be parsed is skipped with a warning. Usually it is
 * the last line, which was truncated by a crash; its write was never answered.
 */
function replay(snapshot: StoreSnapshot, text: string, logger: Logger): StoreSnapshot {
  const tables = new Map(
    [...snapshot.tables].map(([table, objects]) => [
      table,
      new Map(objects.map((object) => [storeKeyOf(object.metadata.namespace, object.metadata.name), object])),
    ]),
  );
  let { revision } = snapshot;
  for (const line of text.split('\n')) {
    const change = parseLine(line);
    if (change === undefined) {
      if (line !== '') logger.warn('journal line skipped', { bytes: line.length });
      continue;
    }
    // Skip a change that is already in the snapshot.
    if (change.revision <= snapshot.revision) continue;
    revision = Math.max(revision, change.revision);
    const rows = tables.get(change.table) ?? new Map<string, StoredObject>();
    tables.set(change.table, rows);
    const key = storeKeyOf(change.object.metadata.namespace, change.object.metadata.name);
    if (change.type === 'DELETED') rows.delete(key);
    else rows.set(key, change.object);
  }
  return { revision, tables: new Map([...tables].map(([table, rows]) => [table, [...rows.values()]])) };
}

type Line = { readonly type: string; readonly table: string; readonly revision: number; readonly object: StoredObject };

function parseLine(line: string): Line | undefined {
  try {
    const found: unknown = JSON.parse(line);
    const [type, table, revision] = [stringAt(found, 'type'), stringAt(found, 'table'), numberAt(found, 'revision')];
    const object = isRecord(found) ? found['object'] : undefined;
    if (type === undefined || table === undefined || revision === undefined || !isRecord(object)) return undefined;
    return { type, table, revision, object: object as unknown as StoredObject };
  } catch {
    return undefined;
  }
}
