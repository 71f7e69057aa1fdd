/**
 * The output of one container run, stored on disk up to a size limit, and readable while it grows.
 * Owns: the file format (lines of the container runtime interface), rotation, and following. Writes are synchronous, so
 * a reader is only notified when the line is in the file.
 * Limits: the last two files of 5 MiB each. An unfinished line is written in parts of 16 KiB. A reader that is slower
 * than the container misses the oldest lines. Lines that cannot be written because the disk is full are lost.
 */
import { closeSync, existsSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const fileLimitBytes = 5 * 2 ** 20;
const partLimit = 16 * 1024;
const keptFiles = 2;

export type StreamName = 'stdout' | 'stderr';

export class ContainerLog {
  readonly #dir: string;
  readonly #now: () => number;
  readonly #limitBytes: number;
  readonly #pending: Record<StreamName, string> = { stdout: '', stderr: '' };
  readonly #readers = new Set<() => void>();
  #generation = 0;
  #fd: number;
  #bytes = 0;
  #ended = false;

  /** @param dir a folder that only this run uses; an existing folder is deleted first */
  constructor(dir: string, now: () => number, limitBytes = fileLimitBytes) {
    this.#dir = dir;
    this.#now = now;
    this.#limitBytes = limitBytes;
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
    this.#fd = openSync(this.#path(0), 'a');
  }

  get ended(): boolean {
    return this.#ended;
  }

  write(stream: StreamName, text: string): void {
    if (this.#ended) return;
    const lines = (this.#pending[stream] + text).split('\n');
    this.#pending[stream] = lines.pop() ?? '';
    for (const line of lines) this.#line(stream, line, 'F');
    while (this.#pending[stream].length >= partLimit) {
      this.#line(stream, this.#pending[stream].slice(0, partLimit), 'P');
      this.#pending[stream] = this.#pending[stream].slice(partLimit);
    }
    this.#wake();
  }

  end(): void {
    if (this.#ended) return;
    for (const stream of ['stdout', 'stderr'] as const)
      if (this.#pending[stream] !== '') this.#line(stream, this.#pending[stream], 'F');
    this.#ended = true;
    closeSync(this.#fd);
    this.#wake();
  }

  /** Deletes the files, and ends all readers. */
  remove(): void {
    this.end();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /**
   * The stored lines, oldest first. With `follow`, new lines come after them, until the run ends or the signal is
   * aborted. An empty batch marks the end of the stored lines.
   */
  async *lines(follow: boolean, signal: AbortSignal): AsyncGenerator<readonly string[]> {
    const tail = new Tail();
    try {
      yield* this.#read(tail, follow, signal);
    } finally {
      tail.close();
    }
  }

  async *#read(tail: Tail, follow: boolean, signal: AbortSignal): AsyncGenerator<readonly string[]> {
    const oldestKept = (): number => Math.max(0, this.#generation - keptFiles + 1);
    let generation = oldestKept();
    tail.open(this.#path(generation));
    for (;;) {
      // Read #ended before the file. Lines that are written after this moment are then read in the next round.
      const ended = this.#ended;
      const isLast = generation === this.#generation;
      const lines = tail.read();
      if (lines.length > 0) {
        yield lines;
      } else if (!isLast) {
        generation = Math.max(generation + 1, oldestKept());
        tail.open(this.#path(generation));
      } else {
        yield [];
        if (ended || !follow || signal.aborted) return;
        await this.#changed(signal, tail.offset);
      }
    }
  }

  #line(stream: StreamName, text: string, flag: 'P' | 'F'): void {
    try {
      this.#append(
        Buffer.from(`${new Date(this.#now()).toISOString().replace('Z', '000000Z')} ${stream} ${flag} ${text}\n`),
      );
    } catch {
      // The line is lost, but the container continues.
    }
  }

  #append(bytes: Buffer): void {
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#limitBytes) this.#rotate();
    this.#bytes += writeSync(this.#fd, bytes);
  }

  #rotate(): void {
    closeSync(this.#fd);
    this.#generation += 1;
    this.#bytes = 0;
    this.#fd = openSync(this.#path(this.#generation), 'a');
    rmSync(this.#path(this.#generation - keptFiles), { force: true });
  }

  #path(generation: number): string {
    return join(this.#dir, `${generation}.log`);
  }

  #wake(): void {
    for (const reader of this.#readers) reader();
  }

  /**
   * Resolves once the log has lines that the reader has not read, including lines that were written while the reader
   * processed a batch. Resolves also when the run ends or the signal is aborted.
   */
  #changed(signal: AbortSignal, seenBytes: number): Promise<void> {
    if (this.#ended || this.#bytes !== seenBytes || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#readers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#readers.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}

const chunkBytes = 64 * 1024;

/**
 * Reads complete lines from the last position. An incomplete line is kept until the rest of it was written. A deleted
 * file reads as empty.
 */
class Tail {
  readonly #chunk = Buffer.alloc(chunkBytes);
  #fd: number | undefined;
  #rest = Buffer.alloc(0);
  /** The number of bytes that were read from the current file. */
  offset = 0;

  open(path: string): void {
    this.close();
    this.#fd = existsSync(path) ? openSync(path, 'r') : undefined;
    this.#rest = Buffer.alloc(0);
    this.offset = 0;
  }

  read(): readonly string[] {
    const count = this.#fd === undefined ? 0 : readSync(this.#fd, this.#chunk, 0, chunkBytes, null);
    if (count === 0) return [];
    this.offset += count;
    const bytes = Buffer.concat([this.#rest, this.#chunk.subarray(0, count)]);
    const end = bytes.lastIndexOf(0x0a) + 1;
    this.#rest = bytes.subarray(end);
    return end === 0
      ? this.read()
      : bytes
          .subarray(0, end - 1)
          .toString()
          .split('\n');
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
