/**
 * A token for tests (the secret of a revision), the file that contains it, and a door: the access check of a server
 * that accepts the token.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bearer, printAccess, tokenHeader } from '../../api/access.ts';
import { paths } from '../../api/names.ts';
import type { Door } from '../../runtime/config/access-file.ts';

export const givenToken = 'a'.repeat(43);
export const withToken = { [tokenHeader]: bearer(givenToken) } as const;

/** @param sampleRate the highest sample rate that the revision allows */
export function doorFor(token: string = givenToken, sampleRate = 1): Door {
  return { token, sampleRate, isOpenTo: (authorization) => authorization === bearer(token) };
}

/** Writes the access file. In a pod, the file is mounted in addition to the config. */
export async function writeAccess(configDir: string, token: string = givenToken, sampleRate?: number): Promise<void> {
  await writeFile(
    join(configDir, paths.accessFile),
    printAccess({ schema: 1, token, ...(sampleRate === undefined ? {} : { sampleRate }) }),
  );
}
