/**
 * Allows one `prepare` at a time in a cache folder.
 *
 * Owns:  the lock file: created exclusively, touched every five seconds while held.
 * Ends:  when the holder releases the lock. If the holder ran on the waiter's host and has ended, the waiter takes the
 *        lock over at once. In all other cases, also when the holder is on another host that shares the volume, the
 *        waiter takes the lock over after thirty seconds without a touch, measured with the waiter's clock.
 */
import { open, readFile, rename, rm, stat, link, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { errnoOf } from './durable-file.ts';
import { fateOf, ownMark, parseMark } from './process-mark.ts';

export type CacheLock = {
  /** False when another process took over the lock, because this process was paused for too long. */
  held(): Promise<boolean>;
  release(): Promise<void>;
};

const touchMs = 5000;
const staleMs = 30_000;
const lookMs = 200;

export type CacheLockDeps = { readonly clock: Clock; readonly logger: Logger; readonly signal: AbortSignal };

/**
 * Waits until the lock is free.
 * @throws the signal's reason when it is aborted
 */
export async function lockCache(folder: string, deps: CacheLockDeps): Promise<CacheLock> {
  const path = join(folder, 'lock');
  const { clock, logger, signal } = deps;
  let seen: Sight | undefined;
  for (;;) {
    signal.throwIfAborted();
    const file = await tryMake(path);
    if (file !== undefined) return await hold(path, file, clock);
    const now = await look(path, clock.monotonic(), seen);
    if (seen === undefined && now !== undefined) logger.info('waiting for another prepare', { lock: path });
    seen = now;
    if (seen !== undefined && (seen.fate === 'gone' || clock.monotonic() - seen.sinceMs >= staleMs)) {
      logger.warn('taking over the lock of a prepare that ended without releasing it', { lock: path });
      await takeAway(path, seen.inode);
    } else {
      await clock.sleep(lookMs, signal);
    }
  }
}

async function tryMake(path: string): Promise<FileHandle | undefined> {
  try {
    const file = await open(path, 'wx', 0o644);
    await file.writeFile(JSON.stringify(await ownMark()));
    return file;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return undefined;
    throw error;
  }
}

async function hold(path: string, file: FileHandle, clock: Clock): Promise<CacheLock> {
  const { ino } = await file.stat();
  let stop = (): void => {};
  let time = 0;
  const touch = (): void => {
    time += 1;
    // Touch through the file handle: if another process has taken the lock over, this changes the old file, not the new
    // holder's file. The value of the time does not matter: waiters only check whether it changed.
    file.utimes(time, time).catch(() => {});
    stop = clock.after(touchMs, touch);
  };
  touch();
  const held = async (): Promise<boolean> => (await inodeOf(path)) === ino;
  return {
    held,
    async release() {
      stop();
      if (await held()) await rm(path, { force: true });
      await file.close();
    },
  };
}

type Sight = {
  readonly inode: number;
  readonly mtimeMs: number;
  readonly sinceMs: number;
  readonly fate: 'alive' | 'gone' | 'unknown';
};

/** The state of the lock file; `sinceMs` is when the waiter first saw this state. */
async function look(path: string, nowMs: number, before: Sight | undefined): Promise<Sight | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  const mark = parseMark(await readFile(path, 'utf8').catch(() => ''));
  // A lock file without a process mark was just created, or its process died before writing: wait for the timeout.
  const fate = mark === undefined ? 'unknown' : await fateOf(mark);
  const same = before?.inode === found.ino && before.mtimeMs === found.mtimeMs;
  return { inode: found.ino, mtimeMs: found.mtimeMs, sinceMs: same ? before.sinceMs : nowMs, fate };
}

/**
 * Removes a dead lock. If several waiters call this at once, only one of them can move the file. A waiter that has
 * moved a new, live lock by mistake puts that lock back.
 */
export async function takeAway(path: string, inode: number): Promise<void> {
  const aside = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  if ((await inodeOf(aside)) !== inode) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

async function inodeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.ino;
}
