/**
 * A source scheme: a parser of its URIs, and a function that opens their files.
 *
 * Owns: the interface that the files of this folder implement; index.ts lists the implementations. The caller
 *       (acquire.ts) handles digests, the cache and other fields of the spec in the same way for every scheme.
 */
import type { SourceConfig } from '../../../api/runtime-config.ts';
import type { FetchDeps } from '../fetch/download.ts';
import type { HttpOptions } from '../fetch/http-client.ts';
import type { NpmMachine } from '../fetch/npm-settings.ts';
import type { SourceFile } from '../prepared.ts';

/** A parsed URI. */
export type SourceLocation = { readonly folder: boolean };

export type OpenedSource = { readonly files: readonly SourceFile[] } & (
  | {
      /** The folder that contains `files`. */
      readonly root: string;
      /** Links must not lead out of this folder; absent: `root`. */
      readonly boundary?: string;
    }
  | { readonly staging: FetchDeps['staging'] }
);

export type OpenDeps = {
  /** Mount path of the volume claim of a pvc:// URI. */
  readonly sourceDir: string | undefined;
  readonly npm: NpmMachine;
  readonly http: HttpOptions;
  readonly fetch: Omit<FetchDeps, 'staging'>;
  /**
   * For sources that are copied to this machine: takes the files from the cache, or calls `fetch`, which writes them
   * into `staging`.
   */
  readonly throughCache: (fetch: (deps: FetchDeps) => Promise<readonly SourceFile[]>) => Promise<OpenedSource>;
};

export interface SourceScheme<L extends SourceLocation = SourceLocation> {
  /** @throws SOURCE_INVALID with the problem and the correct form */
  parse(text: string): L;
  /**
   * Lists and fetches the files: all files of a folder, or, if given, only the files in `asked.files`. Checks every
   * file whose digest is given in `asked.files`.
   * @throws AppError of the artifact group in api/error-codes.ts
   */
  open(location: L, asked: SourceConfig, deps: OpenDeps): Promise<OpenedSource>;
}
