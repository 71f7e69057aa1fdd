/**
 * Reads one OnnxModel, once or after each change.
 * Owns: when to stop, because a reflector (kube/cache, which lists and watches) would retry for ever.
 * Limits: the server is asked to end each watch after 30 to 60 s. A watch without an event for 75 s counts as dead.
 * Throws: BAD_CONFIG (kind missing) when the model does not exist or was deleted. Before the first answer, it throws
 * every error; after the first answer, only errors that a retry cannot fix.
 */
import { kinds } from '../../api/error-kinds.ts';
import { AppError, kindOf, messageOf } from '../../api/errors.ts';
import { api } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { present } from '../../api/present.ts';
import { onAbort } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/log.ts';
import { createRegistry } from '../../lib/metrics.ts';
import { noticing } from '../../kube/cache/noticing.ts';
import { Reflector } from '../../kube/cache/reflector.ts';
import { isGone } from '../../kube/client/kube-error.ts';
import { onnxModels } from '../../kube/kinds.ts';
import type { Cluster } from './api-server.ts';

export type ModelRef = { readonly namespace: string; readonly name: string };

const backoff = { baseMs: 200, maxMs: 10_000 };

/** @throws AppError BAD_CONFIG of kind missing */
export async function getModel({ client }: Cluster, ref: ModelRef, signal?: AbortSignal): Promise<OnnxModel> {
  const { items } = await client.list(onnxModels, selectionOf(ref), present({ signal }));
  const [model] = items;
  if (model === undefined) throw gone(ref, 'does not exist');
  return model;
}

export type FollowDeps = {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The longest duration of one watch, in seconds. Absent: 60. A watch without an event for 25 % longer is dead. */
  readonly watchSeconds?: number;
  /** Called with a problem when the watch fails, and with undefined at each event, which shows that the watch works. */
  readonly trouble?: (problem: string | undefined) => void;
};

/** Yields the model now and after each change, until the signal is aborted. */
export async function* followModel(
  { client }: Cluster,
  ref: ModelRef,
  { clock, signal, watchSeconds = 60, trouble }: FollowDeps,
): AsyncGenerator<OnnxModel, void> {
  const news = new News(signal);
  const judge = (error: unknown): void => {
    // Ignore 410 Gone: the reflector lists the model again.
    if (isGone(error)) return;
    if (!reflector.synced || !mayPass(error)) news.end(error instanceof Error ? error : new Error(messageOf(error)));
    else trouble?.(messageOf(error));
  };
  const reflector = new Reflector<OnnxModel>({
    ...selectionOf(ref),
    client: noticing(client, { onError: judge, onEvent: () => trouble?.(undefined) }),
    type: onnxModels,
    clock,
    registry: createRegistry(),
    logger: silentLogger,
    // Keep the complete object, because `undo` needs managedFields.
    transform: (model) => model,
    limits: { watchSeconds: watchSeconds / 2, silenceMs: watchSeconds * 1.25 * 1000, backoff },
  });
  reflector.cache.subscribe((change) => {
    if (change.kind === 'deleted') news.end(gone(ref, 'was deleted'));
    else news.add(change.now);
  });
  void reflector.whenSynced().then(() => {
    if (reflector.cache.size === 0) news.end(gone(ref, 'does not exist'));
  });
  const running = reflector.run(news.signal);
  try {
    yield* news.models();
  } finally {
    news.end();
    await running;
  }
}

/** A queue of models from the reflector to the reader. It ends when the signal is aborted, or with an error. */
class News {
  readonly #models: OnnxModel[] = [];
  readonly #ended = new AbortController();
  readonly #parent: AbortSignal;
  #off = (): void => {};
  #error: Error | undefined;
  #arrived = Promise.withResolvers<void>();

  constructor(parent: AbortSignal) {
    this.#parent = parent;
    this.#off = onAbort(parent, () => this.end());
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  add(model: OnnxModel): void {
    this.#models.push(model);
    this.#arrived.resolve();
  }

  /** Ends the queue. Only the first call has an effect. */
  end(error?: Error): void {
    if (this.signal.aborted) return;
    this.#off();
    this.#error = error;
    this.#ended.abort();
    this.#arrived.resolve();
  }

  /** Yields the queued models before it throws the error. */
  async *models(): AsyncGenerator<OnnxModel, void> {
    while (!this.#parent.aborted) {
      const model = this.#models.shift();
      if (model !== undefined) yield model;
      else if (this.#error !== undefined) throw this.#error;
      else if (this.signal.aborted) return;
      else {
        await this.#arrived.promise;
        this.#arrived = Promise.withResolvers();
      }
    }
  }
}

function mayPass(error: unknown): boolean {
  return kinds[kindOf(error)].retry === 'backoff' && kindOf(error) !== 'bug';
}

/**
 * Selects one model for a list and a watch. A list is used instead of a get, because a watch may only start at the
 * resourceVersion of a list.
 */
function selectionOf({ namespace, name }: ModelRef): { readonly namespace: string; readonly fieldSelector: string } {
  return { namespace, fieldSelector: `metadata.name=${name}` };
}

function gone({ namespace, name }: ModelRef, problem: string): AppError {
  return new AppError('BAD_CONFIG', { where: `${api.kind} ${namespace}/${name}`, problem }, { kind: 'missing' });
}
