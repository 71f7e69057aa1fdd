/**
 * Keeps the access token of each revision. A client with the token may tell a sidecar which pods to compare with
 * (peers), enable samples (kept live requests) and read them (api/access.ts).
 *
 * Owns: keeping tokens stable. A token in memory has priority, so that a change of the ConfigMap by another writer is
 * reverted. A new process reads the tokens from the ConfigMaps. Every revision with a record has one token until
 * `forget`.
 */
import { randomBytes } from 'node:crypto';
import { parseAccess } from '../../api/access.ts';
import { paths } from '../../api/names.ts';
import { memoised } from '../../lib/memoised.ts';
import { configMaps, type ConfigMap } from '../../kube/kinds.ts';
import type { Observed } from '../see/seen.ts';
import { revisionOfChild } from '../see/ownership.ts';
import type { Revision } from '../rollout/state.ts';

export class Tokens {
  readonly #make: () => string;
  /**
   * For each model, the tokens of its revisions. Each token was made by this process, or was read from the ConfigMap
   * when this process first saw the revision.
   */
  readonly #made = new Map<string, ReadonlyMap<Revision, string>>();

  /** @param make makes a token; by default 32 random bytes in base64url */
  constructor(make: () => string = () => randomBytes(32).toString('base64url')) {
    this.#make = make;
  }

  /** A token for every revision that has a record. */
  of(key: string, seen: Observed): ReadonlyMap<Revision, string> {
    const stored = storedIn(seen);
    const before = this.#made.get(key);
    const tokens = new Map(
      [...seen.records.keys()].map(
        (revision) => [revision, before?.get(revision) ?? stored.get(revision) ?? this.#make()] as const,
      ),
    );
    this.#made.set(key, tokens);
    return tokens;
  }

  forget(key: string): void {
    this.#made.delete(key);
  }
}

const tokenIn = memoised(({ data }: ConfigMap) => parseAccess(data?.[paths.accessFile] ?? '')?.token);

function storedIn({ children, model }: Observed): ReadonlyMap<Revision, string> {
  const stored = new Map<Revision, string>();
  for (const object of children) {
    const revision = revisionOfChild(object, model.metadata.name);
    if (object.kind !== configMaps.kind || revision === undefined) continue;
    const token = tokenIn(object as ConfigMap);
    if (token !== undefined) stored.set(revision, token);
  }
  return stored;
}
