/**
 * What `prepare` leaves for the server: where everything lies and what was found out on the way.
 *
 * Owns:  the type, and the file in the cache folder that carries it from the init container to the next one.
 *        Paths in it are absolute: both containers mount the same volumes at the same places.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';
import type { Resolved } from '../../api/last-words.ts';
import type { ProviderUse } from '../../api/report.ts';
import type { ProviderName } from '../../api/choices.ts';
import type { ModelInfo } from '../onnx/model-info.ts';
import { writeAtomically } from './cache/durable-file.ts';

export type SourceFile = {
  /** Inside the source, with `/`. */
  readonly path: string;
  readonly bytes: number;
  /** `sha256:<64 hex>` */
  readonly digest: string;
};

export type Prepared = {
  readonly schema: 1;
  readonly revision: string;
  readonly resolved: Resolved;
  /** Of the model as the source holds it, also when an optimised one is served. */
  readonly info: ModelInfo;
  /** The file that the engine opens. */
  readonly graphPath: string;
  /**
   * Whether `graphPath` is a made one: optimised, with weights that every session of this machine shares by
   * memory-mapping. It is opened with graph optimisation disabled; there is nothing left to optimise.
   */
  readonly optimised: boolean;
  /** The execution providers a session is created with: those asked for that exist here, in order. */
  readonly providerChain: readonly ProviderName[];
  /** ONNX Runtime session config entries that the chain needs beside the spec's; absent without any. */
  readonly sessionConfig?: Readonly<Record<string, string>>;
  /** Which providers ran the nodes in a profiled run, largest share first; empty when that was not measured. */
  readonly providers: readonly ProviderUse[];
  /** The folder that paths inside the source are relative to; for a source that is one file, the folder it is in. */
  readonly root: string;
  /** Present when the configuration names a tokenizer. */
  readonly tokenizerPath?: string;
  /** The files that were checked, sorted by path. */
  readonly files: readonly SourceFile[];
  /** Sentences for people: what was done differently from what one might expect, and why. */
  readonly notes: readonly string[];
};

const manifestName = 'prepared.json';
const manifestLimitBytes = 16 * 2 ** 20;

/** Writes the file so that a reader sees the old one or the new one, never half of it. */
export async function writePrepared(cacheDir: string, prepared: Prepared): Promise<void> {
  await writeAtomically(join(cacheDir, manifestName), `${JSON.stringify(prepared)}\n`);
}

/**
 * Reads what `prepare` wrote into the same folder.
 *
 * @param revision when given, another revision's file is refused: a cache folder may be shared outside a cluster
 * @throws FILE_UNREADABLE when `prepare` did not run, BAD_CONFIG when the file is of another form or revision
 */
export async function readPrepared(cacheDir: string, revision?: string): Promise<Prepared> {
  const path = join(cacheDir, manifestName);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new AppError('FILE_UNREADABLE', { path, why: `${messageOf(error)} (has prepare run?)` }, { cause: error });
  });
  const value = text.length > manifestLimitBytes ? undefined : parse(text);
  if (!isPrepared(value))
    throw new AppError('BAD_CONFIG', { where: path, problem: 'it was not written by this version: run prepare again' });
  if (revision !== undefined && value.revision !== revision) {
    throw new AppError('BAD_CONFIG', {
      where: path,
      problem: `it is of revision ${value.revision}, not ${revision}: run prepare again`,
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

/** The file is our own: its version and the fields that everything hangs on are enough. */
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
