/**
 * Binds PersistentVolumeClaims: a claim is a folder, so every claim is bound at once.
 * Owns: a claim's phase and its folder. The folder is the one that `--volume CLAIM=DIR` names, or else a folder in the
 * data folder. A claim keeps its folder across restarts.
 * Limits: the status shows sizes and access modes as requested, but they are not enforced.
 */
import { join } from 'node:path';
import type { Objects } from '../objects.ts';
import type { Key } from './controller.ts';
import { claimsPath, type VolumeClaim } from './resources.ts';

export type ClaimFolders = {
  /** Name of a volume claim → an existing folder. */
  readonly given: ReadonlyMap<string, string>;
  readonly dataDir: string;
};

/** @returns the folder of the claim. A folder in the data folder may not exist yet */
export function claimFolder(folders: ClaimFolders, { namespace, name }: Key): string {
  return folders.given.get(name) ?? join(folders.dataDir, 'volumes', namespace, name);
}

/** Binds one claim. */
export function syncClaim(objects: Objects, { namespace, name }: Key): undefined {
  const claim = objects.get({ ...claimsPath, namespace, name }) as VolumeClaim | undefined;
  if (claim === undefined || claim.status?.phase === 'Bound') return undefined;
  const bound = objects.update(claimsPath, {
    ...claim,
    spec: { ...claim.spec, volumeName: claim.spec.volumeName ?? `local-${claim.metadata.uid}` },
  } as VolumeClaim);
  const status = {
    phase: 'Bound',
    accessModes: claim.spec.accessModes ?? ['ReadWriteOnce'],
    capacity: claim.spec.resources?.requests ?? {},
  };
  objects.updateStatus(claimsPath, { ...bound, status });
  return undefined;
}

/** Creates, in the default namespace, the claims that `--volume` flags name and that do not exist. */
export function createGivenClaims(objects: Objects, folders: ClaimFolders): void {
  for (const name of folders.given.keys()) {
    if (objects.get({ ...claimsPath, namespace: 'default', name }) !== undefined) continue;
    objects.create(claimsPath, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name, namespace: 'default' },
      spec: {
        accessModes: ['ReadWriteMany'],
        resources: { requests: { storage: '1Gi' } },
        volumeName: `local-${name}`,
      },
    });
  }
}
