/**
 * The list of source schemes, and the parser of all their URIs.
 *
 * Owns:  which file of this folder serves which row of api/sources.ts, and why a URI is refused by rule.
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
  /** Local mode and `serve`: files of this machine are fine. */
  readonly allowFile: boolean;
  /** Whether the bytes are pinned by a digest; plain http is refused otherwise. */
  readonly pinned: boolean;
};

/**
 * @returns the parsed URI; paths are relative (of `file` absolute), without `.`, `..` and empty segments
 * @throws SOURCE_INVALID with what is wrong and how to write it
 */
export function parseSourceUri(text: string, rules: UriRules): SourceUri {
  // Whatever has control characters or blanks in it was pasted wrongly; nothing behind here has to expect them.
  if (text.length > 2048 || /[\p{Cc}\s]/u.test(text))
    throw invalidUri(text, 'it has blanks or control characters in it, or is longer than 2048 characters');
  const name = sourceNameOf(text);
  if (name === undefined) throw invalidUri(text, unsupported(schemeOf(text)));
  const problem = refuseByRule(name, text, rules);
  if (problem !== undefined) throw invalidUri(text, problem);
  const parsed = schemes[name].parse(text);
  // After the parser, whose messages say more.
  if (!isWrittenAs(name, text)) throw invalidUri(text, `write it as ${examplesOf(name)}`);
  return parsed;
}

/** The scheme of a parsed URI. */
export function schemeFor({ scheme }: SourceUri): SourceScheme {
  return schemes[scheme];
}

function refuseByRule(name: SourceName, text: string, rules: UriRules): string | undefined {
  if (needsDigest(text) && !rules.pinned)
    return 'over plain http anybody on the way could change the model: use https, or pin it with spec.model.digest';
  if (sourceRowOf(name).localOnly === true && !rules.allowFile)
    return `${name}: is for local mode only; on a cluster use pvc://claim/path`;
  return undefined;
}

function unsupported(scheme: string): string {
  const what = ownValue(plannedSources, scheme);
  if (what !== undefined) return `${what} (${scheme}://) are not supported yet by this version: use ${usableStarts}`;
  return scheme === ''
    ? `it has no scheme: begin it with ${usableStarts}`
    : `${scheme}: is not a scheme this version knows: use ${usableStarts}`;
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
