/**
 * The table of model sources: a row says how URIs of a scheme are written and what the scheme can do.
 *
 * Owns:  the grammar of URIs in the spec. The schema's patterns and rules, the messages and runtime/prepare/sources/
 *        are made from these rows; a scheme without a file there does not compile.
 * Pure.
 */
import { ownValue } from './record.ts';

type SourceForm = {
  /** What every URI of this form begins with. */
  readonly start: string;
  readonly example: string;
  /** Its bytes could be changed on the way, so that only a digest makes them safe. */
  readonly needsDigest?: true;
};

type SourceRow = {
  readonly forms: readonly SourceForm[];
  /** Regular expression (RE2) of the whole URI, as the spec may have it. */
  readonly pattern: string;
  /** The same for what else `serve` takes: a command line may have a password, a spec that others read may not. */
  readonly servePattern?: string;
  /** Whether the files of a folder can be found out. Otherwise the spec has to name them. */
  readonly listsFolders: boolean;
  /** For local mode and `serve`; refused on a cluster. */
  readonly localOnly?: true;
};

const npmVersion = '(@[a-z0-9._-]+/)?[a-z0-9._-]+@[0-9]+\\.[0-9]+\\.[0-9]+[0-9A-Za-z.+-]*';

/** By the name of the scheme that leads. The order is that of the schema's pattern and of messages. */
export const sourceRows = {
  https: {
    forms: [
      { start: 'https://', example: 'https://host/path' },
      { start: 'http://', example: 'http://host/path', needsDigest: true },
    ],
    pattern: 'https?://[^/?#@]+/.*',
    servePattern: 'https?://[^/?#]+/.*',
    listsFolders: false,
  },
  npm: {
    forms: [{ start: 'npm:', example: 'npm:@scope/package@1.2.3/path' }],
    pattern: `npm:${npmVersion}/.+`,
    servePattern: `npm:${npmVersion}/`,
    listsFolders: true,
  },
  pvc: {
    forms: [{ start: 'pvc://', example: 'pvc://claim/path' }],
    pattern: 'pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?/.*',
    listsFolders: true,
  },
  file: {
    forms: [{ start: 'file:///', example: 'file:///path' }],
    pattern: 'file:///.+',
    listsFolders: true,
    localOnly: true,
  },
} as const satisfies Readonly<Record<string, SourceRow>>;

export type SourceName = keyof typeof sourceRows;

/** Schemes that people try and this version does not have. */
export const plannedSources: Readonly<Record<string, string>> = {
  s3: 'S3 buckets',
  oci: 'OCI registries',
  hf: 'the Hugging Face Hub',
};

const rows: readonly (readonly [string, SourceRow])[] = Object.entries(sourceRows);
const forms = rows.flatMap(([, row]) => row.forms.map((form) => ({ ...form, row })));
const alternatives = `(${rows.map(([, { pattern }]) => pattern).join('|')})`;

/** Pattern of `spec.model.uri`. */
export const uriPattern = `^${alternatives}$`;
/** The same for a file: without a "/" at the end. */
export const fileUriPattern = `^${alternatives}[^/]$`;

/** What URIs begin with whose bytes need a digest, and those whose folders cannot be listed. */
export const startsWithDigest = forms.filter(({ needsDigest }) => needsDigest).map(({ start }) => start);
export const startsUnlisted = forms.filter(({ row }) => !row.listsFolders).map(({ start }) => start);

/** "https://host/path, http://host/path (only with a digest), …; in local mode also file:///path" */
export const uriForms = [
  forms
    .filter(({ row }) => row.localOnly !== true)
    .map(({ example, needsDigest }) => (needsDigest === true ? `${example} (only with a digest)` : example)),
  forms.filter(({ row }) => row.localOnly).map(({ example }) => example),
]
  .map((examples) => examples.join(', '))
  .join('; in local mode also ');

/** "https://, npm: or pvc://": what a message offers in place of a URI that cannot be used. */
export const usableStarts = forms
  .filter(({ row, needsDigest }) => row.localOnly !== true && needsDigest !== true)
  .map(({ start }) => start)
  .join(', ')
  .replace(/, ([^,]*)$/, ' or $1');

const byScheme = Object.fromEntries(
  rows.flatMap(([name, row]) => row.forms.map(({ start }) => [start.slice(0, start.indexOf(':')), name as SourceName])),
);

/** @returns undefined for a scheme that is not in the table; upper and lower case are one */
export function sourceNameOf(uri: string): SourceName | undefined {
  return ownValue(byScheme, schemeOf(uri));
}

/** Lower case; '' where the text has none. */
export function schemeOf(uri: string): string {
  return /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase() ?? '';
}

export function sourceRowOf(name: SourceName): SourceRow {
  return sourceRows[name];
}

/** Whether the form that a URI is written in may be used only with a digest. */
export function needsDigest(uri: string): boolean {
  return startsWithDigest.some((start) => uri.toLowerCase().startsWith(start));
}

/** The volume claim that the pods have to mount for a URI. */
export function volumeClaimOf(uri: string): string | undefined {
  return /^pvc:\/\/([^/]+)\//.exec(uri)?.[1];
}
