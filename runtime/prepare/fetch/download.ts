/**
 * Downloads one file into the staging folder: resumes, retries, limits and hashes it.
 *
 * Owns:   when to retry, from which offset, and the check of the bytes.
 * Limits: the maximum size of a source, which all its files share; `limits.tries` failed attempts in a row (an
 *         attempt that received bytes restarts the count at 1); `limits.tries * 100` failed attempts in total.
 * Throws: the source's permanent errors; SOURCE_TOO_LARGE; DIGEST_MISMATCH; DISK_FULL; the SOURCE_UNAVAILABLE of the
 *         last attempt.
 */
import type { Hash } from 'node:crypto';
import { AppError, kindOf } from '../../../api/errors.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../lib/log.ts';
import { backoffMs, retryErrors } from '../../../lib/retry.ts';
import { checkDigest, digestOf, hashFile, newDigest } from '../cache/digest.ts';
import type { OpenPart, PartFile } from './part-file.ts';
import type { SourceFile } from '../prepared.ts';
import type { Progress } from '../progress.ts';
import type { SourceLimits, OpenAt, Opened, Source, Validator } from './source.ts';
import type { Kept, Staging } from '../cache/staging.ts';

export type FetchDeps = {
  readonly staging: Staging;
  readonly openPart: OpenPart;
  readonly limits: SourceLimits;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly progress: Progress;
  readonly signal: AbortSignal;
};

export type Wanted = {
  /** Path inside the source, as `Source.open` takes it. */
  readonly path: string;
  /** Path inside the staging folder. */
  readonly as: string;
  readonly digest?: string;
  /** Maximum size of this file in bytes: the source's limit minus the sizes of the earlier files. */
  readonly roomBytes: number;
};

const backoff = { baseMs: 500, maxMs: 15_000 };

/** Downloads the files in sequence; together they may not exceed the source's limit. */
export async function downloadAll(
  source: Source,
  wanted: readonly Omit<Wanted, 'roomBytes'>[],
  deps: FetchDeps,
): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  let roomBytes = deps.limits.sourceBytes;
  for (const one of wanted) {
    const file = await downloadFile(source, { ...one, roomBytes }, deps);
    roomBytes -= file.bytes;
    files.push(file);
  }
  return files;
}

export async function downloadFile(source: Source, wanted: Wanted, deps: FetchDeps): Promise<SourceFile> {
  const ready = await deps.staging.finished(wanted.as);
  if (ready !== undefined && (wanted.digest === undefined || wanted.digest === ready.digest)) return ready;
  const first = await attempt({ source, wanted, deps, mayResume: true });
  if (!('mismatch' in first)) return first;
  if (!first.resumed) throw first.mismatch;
  // The joined pieces may be from different versions of the file: download the whole file again, without resuming.
  deps.logger.warn('resumed download had the wrong digest; starting over', { uri: source.show(wanted.path) });
  const second = await attempt({ source, wanted, deps, mayResume: false });
  if ('mismatch' in second) throw second.mismatch;
  return second;
}

type Job = {
  readonly source: Source;
  readonly wanted: Wanted;
  readonly deps: FetchDeps;
  readonly mayResume: boolean;
};

async function attempt(job: Job): Promise<SourceFile | { mismatch: AppError; resumed: boolean }> {
  const part = await Part.open(job);
  try {
    await retrying(part, job.source, job.deps);
    return await part.finish();
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'DIGEST_MISMATCH') throw error;
    await job.deps.staging.forget(job.wanted.as);
    return { mismatch: error, resumed: part.resumed };
  } finally {
    await part.close();
  }
}

async function retrying(part: Part, source: Source, deps: FetchDeps): Promise<void> {
  const { limits, clock, signal, logger } = deps;
  let failures = 0;
  let before = 0;
  const fetchRest = (): Promise<void> => {
    before = part.offset;
    return part.fetchRest();
  };
  const pauseAfter = (error: unknown, attempt: number): number | undefined => {
    failures = part.offset > before ? 1 : failures + 1;
    const passing = error instanceof AppError && error.code === 'SOURCE_UNAVAILABLE';
    if (!passing || failures >= limits.tries || attempt >= limits.tries * 100) return undefined;
    const waitMs = backoffMs(backoff, failures, deps.random());
    logger.warn('download interrupted; trying again', {
      uri: source.show(part.path),
      err: error,
      atBytes: part.offset,
      waitMs: Math.round(waitMs),
      kind: kindOf(error),
    });
    return waitMs;
  };
  try {
    await retryErrors(fetchRest, { clock, signal, pauseAfter });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** One file during its download, with its length so far and the hash of the bytes so far. */
class Part {
  readonly #job: Job;
  #file: PartFile;
  #hash: Hash;
  #validator: Validator | undefined;
  #totalBytes: number | undefined;
  #closed = false;
  offset: number;
  /** True if the file was assembled from more than one response. */
  resumed: boolean;

  private constructor(job: Job, file: PartFile, hash: Hash, kept: Kept) {
    this.#job = job;
    this.#file = file;
    this.#hash = hash;
    this.#validator = kept.validator;
    this.#totalBytes = kept.totalBytes;
    this.offset = kept.bytes;
    this.resumed = kept.bytes > 0;
  }

  static async open(job: Job): Promise<Part> {
    const { source, wanted, deps } = job;
    const { staging, openPart, signal, progress, logger } = deps;
    const kept = await staging.kept(wanted.as, wanted.digest !== undefined);
    const hash = newDigest();
    await hashFile(hash, staging.pathOf(wanted.as), { bytes: kept.bytes, signal });
    if (kept.bytes > 0) logger.info('resuming download', { uri: source.show(wanted.path), atBytes: kept.bytes });
    progress.add(kept.bytes);
    return new Part(job, await openPart(staging.pathOf(wanted.as), kept.bytes), hash, kept);
  }

  get path(): string {
    return this.#job.wanted.path;
  }

  async fetchRest(): Promise<void> {
    const {
      source,
      deps: { signal, progress },
    } = this.#job;
    if (this.offset > 0 && this.offset === this.#totalBytes) return;
    const opened = await source.open(this.path, this.#resumePoint(), signal);
    await this.#accept(opened);
    for await (const bytes of opened.bytes) {
      this.#checkRoom(this.offset + bytes.length);
      await this.#file.write(bytes);
      this.#hash.update(bytes);
      this.offset += bytes.length;
      progress.add(bytes.length);
    }
    if (this.#totalBytes !== undefined && this.offset !== this.#totalBytes) {
      throw new AppError('SOURCE_UNAVAILABLE', {
        uri: source.show(this.path),
        why: `the response ended after ${this.offset} of ${this.#totalBytes} bytes`,
      });
    }
  }

  /** @throws DIGEST_MISMATCH */
  async finish(): Promise<SourceFile> {
    const { source, wanted, deps } = this.#job;
    const digest = digestOf(this.#hash);
    checkDigest(source.show(this.path), wanted.digest, digest);
    await this.#file.sync();
    const file = { path: wanted.as, bytes: this.offset, digest };
    await deps.staging.finish(file);
    return file;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
  }

  /**
   * Where to continue: after the bytes received so far if the joined pieces can be verified, by a validator now or by a
   * digest at the end; otherwise at 0.
   */
  #resumePoint(): OpenAt {
    const { mayResume, wanted } = this.#job;
    if (!mayResume || (this.#validator === undefined && wanted.digest === undefined)) return { offset: 0 };
    return { offset: this.offset, ...(this.#validator === undefined ? {} : { validator: this.#validator }) };
  }

  async #accept(opened: Opened): Promise<void> {
    const { wanted, deps } = this.#job;
    if (opened.totalBytes !== undefined) this.#checkRoom(opened.totalBytes);
    if (opened.offset !== this.offset) await this.#restart();
    this.resumed = opened.offset > 0;
    this.#validator = opened.validator;
    this.#totalBytes = opened.totalBytes;
    if (opened.totalBytes !== undefined) deps.progress.expect(wanted.as, opened.totalBytes);
    await deps.staging.begin(wanted.as, opened);
  }

  /** Starts from the beginning, because the source cannot resume or the file has changed. */
  async #restart(): Promise<void> {
    const { wanted, deps } = this.#job;
    deps.progress.add(-this.offset);
    await this.#file.close();
    this.#file = await deps.openPart(deps.staging.pathOf(wanted.as), 0);
    this.#hash = newDigest();
    this.offset = 0;
  }

  #checkRoom(bytes: number): void {
    const { source, wanted, deps } = this.#job;
    if (bytes <= wanted.roomBytes) return;
    throw new AppError('SOURCE_TOO_LARGE', { uri: source.show(this.path), limitBytes: deps.limits.sourceBytes });
  }
}
