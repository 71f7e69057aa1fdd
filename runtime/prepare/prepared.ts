/**
 * What `prepare` passes to the server: the paths of all files, and the facts that it found.
 *
 * Owns:  the type, and the file in the cache folder that carries it from the init container to the server's container.
 *        Paths are absolute: both containers mount the same volumes at the same paths.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';
import type { Resolved } from '../../api/last-words.ts';
import type { ProviderUse } from '../../api/report.ts';
import type { ProviderName } from '../../api/choices.ts';
import type { AllocationChoice } from '../config/allocation.ts';
import type { ModelInfo } from '../onnx/model-info.ts';
import { writeAtomically } from './cache/durable-file.ts';

export type SourceFile = {
  /** Path inside the source, with `/` between its segments. */
  readonly path: string;
  readonly bytes: number;
  /** `sha256:<64 hex>` */
  readonly digest: string;
};

export type Prepared = {
  readonly schema: 1;
  readonly revision: string;
  readonly resolved: Resolved;
  /** Describes the source's model, even if an optimised form is served. */
  readonly info: ModelInfo;
  /** The file that the engine opens. */
  readonly graphPath: string;
  /**
   * True if `graphPath` is an optimised form, whose weights all sessions of this machine share by memory-mapping. It is
   * opened with graph optimisation disabled.
   */
  readonly optimised: boolean;
  /** The execution providers of a session: the requested providers that are available, in order. */
  readonly providerChain: readonly ProviderName[];
  /**
   * ONNX Runtime session config entries that the provider chain requires in addition to the spec's entries. Absent when
   * the chain requires no entries.
   */
  readonly sessionConfig?: Readonly<Record<string, string>>;
  /** The providers that ran the nodes in a profiled run, largest share first; empty when not measured. */
  readonly providers: readonly ProviderUse[];
  /**
   * Paths inside the source are relative to this folder. For a single file, it is the folder that contains the file.
   */
  readonly root: string;
  /**
   * The folder of the build in the cache. The server keeps its measurements there. Absent in files of older versions.
   */
  readonly buildFolder?: string;
  /**
   * How sessions get memory for intermediate results. Absent in files of older versions; the usual settings
   * are then used (session-options.ts).
   */
  readonly allocation?: AllocationChoice;
  /** Present when the configuration names a tokenizer. */
  readonly tokenizerPath?: string;
  /** The files that were verified, sorted by path. */
  readonly files: readonly SourceFile[];
  /** Messages for users about unexpected results, with the reasons. */
  readonly notes: readonly string[];
};

const manifestName = 'prepared.json';
const manifestLimitBytes = 16 * 2 ** 20;

/** Writes the file atomically: a reader sees the old file or the new one. */
export async function writePrepared(cacheDir: string, prepared: Prepared): Promise<void> {
  await writeAtomically(join(cacheDir, manifestName), `${JSON.stringify(prepared)}\n`);
}

/**
 * Reads the file that `prepare` wrote into the same folder.
 *
 * @param revision if given, another revision's file is refused: outside a cluster, revisions may share a cache folder
 * @throws FILE_UNREADABLE when `prepare` did not run, BAD_CONFIG when the file has another format or revision
 */
export async function readPrepared(cacheDir: string, revision?: string): Promise<Prepared> {
  const path = join(cacheDir, manifestName);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new AppError('FILE_UNREADABLE', { path, why: `${messageOf(error)} (did prepare run?)` }, { cause: error });
  });
  const value = text.length > manifestLimitBytes ? undefined : parse(text);
  if (!isPrepared(value))
    throw new AppError('BAD_CONFIG', { where: path, problem: 'it was written by another version: run prepare again' });
  if (revision !== undefined && value.revision !== revision) {
    throw new AppError('BAD_CONFIG', {
      where: path,
      problem: `it belongs to revision ${value.revision}, not ${revision}: run prepare again`,
    });
  }
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Only `prepare` writes the file, so checking its version and main fields is sufficient. */
function isPrepared(value: unknown): value is Prepared {
  if (typeof value !== 'object' || value === null) return false;
  const { schema, revision, graphPath, root, resolved, info } = value as Partial<Record<keyof Prepared, unknown>>;
  return (
    schema === 1 &&
    [revision, graphPath, root].every((text) => typeof text === 'string') &&
    typeof resolved === 'object' &&
    typeof info === 'object'
  );
}
