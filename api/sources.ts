/**
 * The table of model sources: each row has the grammar of a source's URIs and its properties. Pure.
 *
 * Owns: the grammar of URIs in the spec. The schema's patterns and rules and the messages are made from the rows; each
 *       row needs a file in runtime/prepare/sources/, or the project does not compile.
 */
import { ownValue } from './record.ts';

type SourceForm = {
  /** Prefix of every URI of this form. */
  readonly start: string;
  readonly example: string;
  /** The transfer is not protected, so a digest is required. */
  readonly needsDigest?: true;
};

type SourceRow = {
  readonly forms: readonly SourceForm[];
  /** Regular expression (RE2) of the whole URI in a spec. */
  readonly pattern: string;
  /**
   * Regular expression of URIs that `serve` accepts in addition to `pattern`: for example, a URI with a password, which
   * a spec must not contain.
   */
  readonly servePattern?: string;
  /** Whether a folder can be listed. Otherwise the spec must name its files. */
  readonly listsFolders: boolean;
  /** URIs of this kind can be used only in local mode and by `serve`. */
  readonly localOnly?: true;
};

const npmVersion = '(@[a-z0-9._-]+/)?[a-z0-9._-]+@[0-9]+\\.[0-9]+\\.[0-9]+[0-9A-Za-z.+-]*';

/** One row for each kind of source, named after its first scheme. The schema's pattern and messages use this order. */
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

/** Schemes that are not supported yet, each with its name in messages. */
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
/** Pattern of a URI of a file: without a "/" at the end. */
export const fileUriPattern = `^${alternatives}[^/]$`;

/** Prefixes of URIs that need a digest. */
export const startsWithDigest = forms.filter(({ needsDigest }) => needsDigest).map(({ start }) => start);
/** Prefixes of URIs whose folders cannot be listed. */
export const startsUnlisted = forms.filter(({ row }) => !row.listsFolders).map(({ start }) => start);

/**
 * An example of each form of URI, as an error message lists them: "https://host/path, http://host/path (only with a
 * digest), …; in local mode also file:///path".
 */
export const uriForms = [
  forms
    .filter(({ row }) => row.localOnly !== true)
    .map(({ example, needsDigest }) => (needsDigest === true ? `${example} (only with a digest)` : example)),
  forms.filter(({ row }) => row.localOnly).map(({ example }) => example),
]
  .map((examples) => examples.join(', '))
  .join('; in local mode also ');

/**
 * Examples of the URIs that `serve` accepts without a digest. URIs of volume claims are left out, because `serve`
 * cannot mount a volume.
 */
export const serveForms = forms
  .filter(({ example, needsDigest }) => needsDigest !== true && volumeClaimOf(example) === undefined)
  .map(({ example }) => example)
  .join(', ');

/** The usable beginnings of a URI, as an error message lists them: "https://, npm: or pvc://". */
export const usableStarts = forms
  .filter(({ row, needsDigest }) => row.localOnly !== true && needsDigest !== true)
  .map(({ start }) => start)
  .join(', ')
  .replace(/, ([^,]*)$/, ' or $1');

const byScheme = Object.fromEntries(
  rows.flatMap(([name, row]) => row.forms.map(({ start }) => [start.slice(0, start.indexOf(':')), name as SourceName])),
);

/** @returns undefined for a scheme that is not in the table. The case of the URI does not matter. */
export function sourceNameOf(uri: string): SourceName | undefined {
  return ownValue(byScheme, schemeOf(uri));
}

/** The scheme in lower case; '' when the text does not have one. */
export function schemeOf(uri: string): string {
  return /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase() ?? '';
}

export function sourceRowOf(name: SourceName): SourceRow {
  return sourceRows[name];
}

/** Whether this URI may be used only with a digest. */
export function needsDigest(uri: string): boolean {
  return startsWithDigest.some((start) => uri.toLowerCase().startsWith(start));
}

/** The volume claim that pods must mount for a URI; undefined for URIs of other schemes. */
export function volumeClaimOf(uri: string): string | undefined {
  return /^pvc:\/\/([^/]+)\//.exec(uri)?.[1];
}
