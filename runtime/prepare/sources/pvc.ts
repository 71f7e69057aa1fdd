/**
 * Models on a volume that the pod mounts.
 *
 * Owns: the meaning of pvc:// URIs. Files are not copied, and links must not lead out of the volume.
 */
import { join } from 'node:path';
import { readDiskSource } from '../fetch/disk-source.ts';
import { invalidUri, parsePath, showUri } from '../fetch/uri.ts';
import type { SourceScheme } from './scheme.ts';

export type PvcLocation = {
  readonly scheme: 'pvc';
  readonly claim: string;
  readonly path: string;
  readonly folder: boolean;
};

export const pvc: SourceScheme<PvcLocation> = {
  parse(text) {
    const [, claim, rest] = /^pvc:\/\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)\/(.*)$/.exec(text) ?? [];
    if (claim === undefined || rest === undefined)
      throw invalidUri(text, 'write it as pvc://claim/path, with a / at the end of a folder');
    return { scheme: 'pvc', claim, ...parsePath(text, rest) };
  },

  async open({ claim, path, folder }, asked, { sourceDir, fetch }) {
    if (sourceDir === undefined) throw invalidUri(asked.uri, `the claim '${claim}' is not mounted here`);
    const place = { uri: showUri(asked.uri), path: join(sourceDir, path), folder, boundary: sourceDir };
    return { ...(await readDiskSource(place, asked.files, fetch)), boundary: sourceDir };
  },
};
