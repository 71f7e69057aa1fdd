/**
 * Models on a web server: a single file, or a folder whose files are listed in the spec.
 *
 * Owns: the meaning of https:// and http:// URIs, and the files' paths in the staging folder.
 */
import { downloadAll } from '../fetch/download.ts';
import { HttpClient } from '../fetch/http-client.ts';
import { HttpSource } from '../fetch/http-source.ts';
import { invalidUri } from '../fetch/uri.ts';
import type { SourceScheme } from './scheme.ts';

export type HttpsLocation = { readonly scheme: 'https'; readonly url: URL; readonly folder: boolean };

export const https: SourceScheme<HttpsLocation> = {
  parse(text) {
    if (!URL.canParse(text)) throw invalidUri(text, 'it is not a URL');
    const url = new URL(text);
    if (url.hash !== '') throw invalidUri(text, 'remove the fragment (#…): it does not select anything on a server');
    if (!isDecodable(url.username) || !isDecodable(url.password))
      throw invalidUri(text, 'write % in the user or password as %25');
    const folder = url.pathname.endsWith('/');
    if (folder && url.search !== '')
      throw invalidUri(text, "a folder's URI cannot have a query, because paths are appended to it");
    return { scheme: 'https', url, folder };
  },

  open({ url, folder }, asked, { http, throughCache }) {
    return throughCache(async (deps) => {
      const client = new HttpClient(http);
      const wanted = folder
        ? (asked.files ?? []).map(({ path, digest }) => ({ path, as: path, digest }))
        : [{ path: '', as: fileName(url), ...(asked.digest === undefined ? {} : { digest: asked.digest }) }];
      try {
        return await downloadAll(new HttpSource(client, url), wanted, deps);
      } finally {
        await client.close();
      }
    });
  },
};

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

/**
 * The last path segment if it is a plain name, otherwise `model.onnx`: a URL must not decide where a file is written.
 */
function fileName(url: URL): string {
  const last = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(last) ? last : 'model.onnx';
}
