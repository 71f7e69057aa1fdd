/**
 * Models on a disk of this machine, for local mode and `serve`.
 *
 * Owns: the meaning of file:/// URIs. Files are not copied.
 */
import { readDiskSource } from '../fetch/disk-source.ts';
import { invalidUri, parsePath, showUri } from '../fetch/uri.ts';
import type { SourceScheme } from './scheme.ts';

export type FileLocation = {
  readonly scheme: 'file';
  /** Absolute path. */
  readonly path: string;
  readonly folder: boolean;
};

export const file: SourceScheme<FileLocation> = {
  parse(text) {
    const [, rest] = /^file:\/\/\/(.*)$/.exec(text) ?? [];
    if (rest === undefined) throw invalidUri(text, 'write it as file:///absolute/path');
    const { path, folder } = parsePath(text, rest);
    return { scheme: 'file', path: `/${path}`, folder };
  },

  async open({ path, folder }, asked, { fetch }) {
    const place = { uri: showUri(asked.uri), path, folder, boundary: '/' };
    return { ...(await readDiskSource(place, asked.files, fetch)), boundary: place.boundary };
  },
};
