/**
 * Remembers the stamped manifests of a model's last pass, and which of them the live objects already equal, so that a
 * pass that changes nothing neither hashes nor compares them.
 *
 * Owns: when a result may be used again: a stamp for an equal manifest, a comparison for the same manifest and the same
 *       live object. Objects of caches do not change; a changed object is another one.
 * Limits: the manifests of one pass. In-memory only.
 */
import type { KubeObject } from '../../api/kube-object.ts';
import { isSame } from '../../lib/json.ts';
import type { Manifest } from '../resources/objects.ts';
import { stamped } from './drift.ts';

type Settled = { readonly manifest: Manifest; readonly told: readonly string[] };

export class Stamps {
  #made = new Map<string, { readonly wanted: Manifest; readonly stamped: Manifest }>();
  readonly #settled = new WeakMap<KubeObject, Settled>();

  /** The stamped manifests; an equal manifest of the last pass gives the same object. */
  of(manifests: readonly Manifest[]): readonly Manifest[] {
    const before = this.#made;
    this.#made = new Map();
    return manifests.map((wanted) => {
      const identity = `${wanted.kind}/${wanted.metadata.name}`;
      const last = before.get(identity);
      const entry = last !== undefined && isSame(last.wanted, wanted) ? last : { wanted, stamped: stamped(wanted) };
      this.#made.set(identity, entry);
      return entry.stamped;
    });
  }

  /** Call it when nothing had to be written. @param told what the status says of the live object */
  noteSettled(manifest: Manifest, live: KubeObject, told: readonly string[]): void {
    this.#settled.set(live, { manifest, told });
  }

  /** What the status says of the live object; undefined when the two have to be compared. */
  toldOfSettled(manifest: Manifest, live: KubeObject | undefined): readonly string[] | undefined {
    const known = live === undefined ? undefined : this.#settled.get(live);
    return known?.manifest === manifest ? known.told : undefined;
  }
}
