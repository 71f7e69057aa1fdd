/**
 * What a scheme of sources is: a parser of its URIs, and how the files behind one are opened.
 *
 * Owns: the port that each file of this folder implements and index.ts lists. Digests, the cache and what the spec
 *       asks for beside the URI are the caller's (acquire.ts), alike for every scheme.
 */
import type { SourceConfig } from '../../../api/runtime-config.ts';
import type { FetchContext } from '../fetch/download.ts';
import type { HttpOptions } from '../fetch/http-client.ts';
import type { NpmMachine } from '../fetch/npm-settings.ts';
import type { SourceFile } from '../prepared.ts';

/** A parsed URI. */
export type SourceLocation = { readonly folder: boolean };

export type OpenedSource = { readonly files: readonly SourceFile[] } & (
  | {
      /** Where `files` lie. */
      readonly root: string;
      /** What links among them must not lead out of; absent: `root`. */
      readonly boundary?: string;
    }
  | { readonly staging: FetchContext['staging'] }
);

export type OpenTools = {
  /** Where the claim of a pvc:// URI is mounted. */
  readonly sourceDir: string | undefined;
  readonly npm: NpmMachine;
  readonly http: HttpOptions;
  readonly fetch: Omit<FetchContext, 'staging'>;
  /**
   * For sources that are copied to this machine: takes the files from the cache, else calls `fetch`, which puts them
   * into `staging`.
   */
  readonly throughCache: (fetch: (context: FetchContext) => Promise<readonly SourceFile[]>) => Promise<OpenedSource>;
};

export interface SourceScheme<L extends SourceLocation = SourceLocation> {
  /** @throws SOURCE_INVALID with what is wrong and how to write it */
  parse(text: string): L;
  /**
   * Lists and gets the files: all of a folder, or those that `asked.files` names, each with the digest it gives there.
   * @throws AppError of the artifact group in api/error-codes.ts
   */
  open(location: L, asked: SourceConfig, tools: OpenTools): Promise<OpenedSource>;
}
