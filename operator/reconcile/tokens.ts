/**
 * The token of each revision: who has it may name peers, turn sampling on and take samples (api/access.ts).
 *
 * Owns:  that a revision keeps its token: what this process knows counts, so that a change of the ConfigMap by somebody
 *        else is put back; a process that begins believes the ConfigMap.
 * Limits: one token a revision of the models that this process follows; `forget` and revisions that are gone clear
 *         them.
 */
import { randomBytes } from 'node:crypto';
import { parseAccess } from '../../api/access.ts';
import { paths } from '../../api/names.ts';
import { configMaps, type ConfigMap } from '../../kube/kinds.ts';
import type { Observed } from '../see/seen.ts';
import { revisionOfChild } from '../see/ownership.ts';
import type { Revision } from '../rollout/state.ts';

export class Tokens {
  readonly #make: () => string;
  /** Made, or read from the revision's ConfigMap when it was seen first; by model. */
  readonly #made = new Map<string, ReadonlyMap<Revision, string>>();

  /** @param make 32 random bytes in base64url */
  constructor(make: () => string = () => randomBytes(32).toString('base64url')) {
    this.#make = make;
  }

  /** A token for every revision that is remembered. */
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

function storedIn({ children, model }: Observed): ReadonlyMap<Revision, string> {
  const stored = new Map<Revision, string>();
  for (const object of children) {
    const revision = revisionOfChild(object, model.metadata.name);
    if (object.kind !== configMaps.kind || revision === undefined) continue;
    const token = parseAccess((object as ConfigMap).data?.[paths.accessFile] ?? '')?.token;
    if (token !== undefined) stored.set(revision, token);
  }
  return stored;
}
