/** A token that tests know, the file that carries it, and a server's door that opens to it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bearer, printAccess, tokenHeader } from '../../api/access.ts';
import { paths } from '../../api/names.ts';
import type { Door } from '../../runtime/config/access-file.ts';

export const givenToken = 'a'.repeat(43);
export const withToken = { [tokenHeader]: bearer(givenToken) } as const;

/** @param sampleRate the most that the revision lets be sampled */
export function doorFor(token: string = givenToken, sampleRate = 1): Door {
  return { token, sampleRate, isOpenTo: (authorization) => authorization === bearer(token) };
}

/** What the operator mounts beside the config. */
export async function writeAccess(configDir: string, token: string = givenToken, sampleRate?: number): Promise<void> {
  await writeFile(
    join(configDir, paths.accessFile),
    printAccess({ schema: 1, token, ...(sampleRate === undefined ? {} : { sampleRate }) }),
  );
}
