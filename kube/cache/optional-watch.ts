/**
 * Watches a type that the cluster may not have, such as the types of the Gateway API.
 * Owns: checking whether the type is served and readable, and then watching the type with a reflector (list and watch).
 * While the type is missing or forbidden, the check is repeated once a minute. In a cluster without the type, the
 * operator therefore sends one small request per minute and stays ready.
 * Ends: `run` resolves soon after its signal is aborted, and never rejects.
 */
import { messageOf } from '../../api/errors.ts';
import { aborted } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/log.ts';
import { isForbidden, isNotFound } from '../client/kube-error.ts';
import type { KubeObject } from '../../api/kube-object.ts';
import { noticing } from './noticing.ts';
import { Reflector, type ReflectorDeps } from './reflector.ts';

/**
 * Served: the type is watched. Missing: the cluster does not have the type. Forbidden: the operator may not read it.
 * Unknown: not checked yet.
 */
export type TypePresence = 'Served' | 'Missing' | 'Forbidden' | 'Unknown';

const lookAgainMs = 60_000;
/** The wait before the next check, as long as no check has reached the server. */
const retryMs = 5_000;

export class OptionalWatch<T extends KubeObject> {
  readonly #deps: ReflectorDeps<T>;
  readonly #reflector: Reflector<T>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onPresence: () => void;
  readonly #asked = Promise.withResolvers<void>();
  #presence: TypePresence = 'Unknown';
  /** Ends the watch when the type is no longer served or no longer readable. */
  #round = new AbortController();

  /** @param onPresence called when the presence of the type changes */
  constructor(deps: ReflectorDeps<T>, onPresence: () => void) {
    this.#deps = deps;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#onPresence = onPresence;
    this.#reflector = new Reflector({
      ...deps,
      client: noticing(deps.client, { onError: (error) => this.#lost(error) }),
    });
  }

  get presence(): TypePresence {
    return this.#presence;
  }

  get cache(): Reflector<T>['cache'] {
    return this.#reflector.cache;
  }

  /** True once the presence of the type is known and, if the type is served, all its objects were read. */
  get synced(): boolean {
    return this.#presence === 'Served' ? this.#reflector.synced : this.#presence !== 'Unknown';
  }

  get silentMs(): number {
    return this.#presence === 'Served' ? this.#reflector.silentMs : 0;
  }

  async whenSynced(): Promise<void> {
    await this.#asked.promise;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const presence = await this.#ask(signal);
      if (signal.aborted) return;
      this.#become(presence);
      if (presence === 'Served') await this.#watch(signal);
      else await this.#clock.sleep(presence === 'Unknown' ? retryMs : lookAgainMs, signal);
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    this.#round = new AbortController();
    const both = AbortSignal.any([signal, this.#round.signal]);
    void Promise.race([this.#reflector.whenSynced(), aborted(both)]).then(() => this.#asked.resolve());
    await this.#reflector.run(both);
  }

  async #ask(signal: AbortSignal): Promise<TypePresence> {
    const { client, type, namespace } = this.#deps;
    try {
      await client.list(type, { limit: 1, ...(namespace === undefined ? {} : { namespace }) }, { signal });
      return 'Served';
    } catch (error) {
      const presence = presenceOf(error);
      // While the server cannot be reached, keep the last known presence.
      if (presence === undefined && !signal.aborted)
        this.#logger.warn('cannot check whether a type is served', { type: type.plural, err: error });
      return presence ?? this.#presence;
    }
  }

  #become(presence: TypePresence): void {
    if (presence !== 'Served' && presence !== 'Unknown') this.#asked.resolve();
    if (presence === this.#presence) return;
    this.#presence = presence;
    this.#logger.info('presence of a type changed', { type: this.#deps.type.plural, presence });
    this.#onPresence();
  }

  #lost(error: unknown): void {
    const presence = presenceOf(error);
    if (presence === undefined) return;
    this.#become(presence);
    this.#round.abort(new Error(messageOf(error)));
  }
}

function presenceOf(error: unknown): TypePresence | undefined {
  if (isNotFound(error)) return 'Missing';
  return isForbidden(error) ? 'Forbidden' : undefined;
}
