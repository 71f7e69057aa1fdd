/**
 * Remembers the stamped manifests (with their hashes: drift.ts, stamped) of a model's last pass, and which live objects
 * already match their manifests. A pass that changes nothing therefore does not hash manifests or compare them with
 * live objects.
 *
 * Owns: when a result may be used again: a stamp is used again for an equal manifest, and a comparison is used again
 * for the same manifest and the same live object. Cached objects are never modified: a change in the cluster gives a
 * new object.
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

  /** Returns the stamped manifests. If the last pass had an equal manifest, its stamped object is returned again. */
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

  /**
   * Call this method when the live object matched, so that nothing had to be written.
   * @param told the sentences of the status about the live object
   */
  noteSettled(manifest: Manifest, live: KubeObject, told: readonly string[]): void {
    this.#settled.set(live, { manifest, told });
  }

  /**
   * The sentences of noteSettled, if it was called for this manifest and this live object. Undefined when the two have
   * to be compared.
   */
  toldOfSettled(manifest: Manifest, live: KubeObject | undefined): readonly string[] | undefined {
    const known = live === undefined ? undefined : this.#settled.get(live);
    return known?.manifest === manifest ? known.told : undefined;
  }
}
