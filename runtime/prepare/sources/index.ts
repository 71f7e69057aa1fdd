/**
 * The list of source schemes, and the parser of all source URIs.
 *
 * Owns:  which file of this folder implements which row of api/sources.ts, and the rules by which a URI is refused.
 */
import {
  needsDigest,
  plannedSources,
  schemeOf,
  sourceNameOf,
  sourceRowOf,
  usableStarts,
  type SourceName,
} from '../../../api/sources.ts';
import { ownValue } from '../../../api/record.ts';
import { invalidUri } from '../fetch/uri.ts';
import { file } from './file.ts';
import { https } from './https.ts';
import { npm } from './npm.ts';
import { pvc } from './pvc.ts';
import type { SourceScheme } from './scheme.ts';

const schemes = { https, npm, pvc, file } satisfies Readonly<Record<SourceName, SourceScheme>>;

export type SourceUri = ReturnType<(typeof schemes)[SourceName]['parse']>;

export type UriRules = {
  /** True in local mode and for `serve`: file:/// URIs are allowed. */
  readonly allowFile: boolean;
  /** True if a digest pins the bytes; otherwise plain http is refused. */
  readonly pinned: boolean;
};

/**
 * @returns the parsed URI; paths are relative (absolute for `file`), without `.`, `..` and empty segments
 * @throws SOURCE_INVALID with the problem and the correct form
 */
export function parseSourceUri(text: string, rules: UriRules): SourceUri {
  // Refuse control characters and blanks here, so that no parser below has to handle them.
  if (text.length > 2048 || /[\p{Cc}\s]/u.test(text))
    throw invalidUri(text, 'it contains blanks or control characters, or is longer than 2048 characters');
  const name = sourceNameOf(text);
  if (name === undefined) throw invalidUri(text, unsupported(schemeOf(text)));
  const problem = refuseByRule(name, text, rules);
  if (problem !== undefined) throw invalidUri(text, problem);
  const parsed = schemes[name].parse(text);
  // Check the pattern after parsing, because the parser's messages are more specific.
  if (!isWrittenAs(name, text)) throw invalidUri(text, `write it as ${examplesOf(name)}`);
  return parsed;
}

/** The scheme of a parsed URI. */
export function schemeFor({ scheme }: SourceUri): SourceScheme {
  return schemes[scheme];
}

function refuseByRule(name: SourceName, text: string, rules: UriRules): string | undefined {
  if (needsDigest(text) && !rules.pinned)
    return 'over plain http anyone on the network could change the model: use https, or pin it with spec.model.digest';
  if (sourceRowOf(name).localOnly === true && !rules.allowFile)
    return `${name}: is for local mode only; on a cluster use pvc://claim/path`;
  return undefined;
}

function unsupported(scheme: string): string {
  const what = ownValue(plannedSources, scheme);
  if (what !== undefined) return `${what} (${scheme}://) are not supported by this version yet: use ${usableStarts}`;
  return scheme === ''
    ? `it has no scheme: begin it with ${usableStarts}`
    : `this version does not know the scheme ${scheme}: use ${usableStarts}`;
}

function isWrittenAs(name: SourceName, text: string): boolean {
  const { pattern, servePattern = pattern } = sourceRowOf(name);
  return new RegExp(`^(?:${pattern}|${servePattern})$`, 'u').test(text);
}

function examplesOf(name: SourceName): string {
  return sourceRowOf(name)
    .forms.map(({ example }) => example)
    .join(' or ');
}
