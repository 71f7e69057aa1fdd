/**
 * Models on a web server: a file, or the files of a folder that the spec names.
 *
 * Owns: what https:// and http:// URIs mean, and where their files lie in the staging folder.
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
    if (url.hash !== '') throw invalidUri(text, 'a fragment (#…) names nothing on a server');
    if (!isDecodable(url.username) || !isDecodable(url.password))
      throw invalidUri(text, 'a % in its user or password must be written as %25');
    const folder = url.pathname.endsWith('/');
    if (folder && url.search !== '') throw invalidUri(text, 'a folder cannot have a query: paths are added to its end');
    return { scheme: 'https', url, folder };
  },

  open({ url, folder }, asked, { http, throughCache }) {
    return throughCache(async (context) => {
      const client = new HttpClient(http);
      const wanted = folder
        ? (asked.files ?? []).map(({ path, digest }) => ({ path, as: path, digest }))
        : [{ path: '', as: fileName(url), ...(asked.digest === undefined ? {} : { digest: asked.digest }) }];
      try {
        return await downloadAll(new HttpSource(client, url), wanted, context);
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

/** The last part of the path where that is a plain name; what a server calls a file must not choose where it lies. */
function fileName(url: URL): string {
  const last = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/.test(last) ? last : 'model.onnx';
}
