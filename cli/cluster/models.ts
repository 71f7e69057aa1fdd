/**
 * One OnnxModel as the API server has it: now, or now and after each change.
 *
 * Owns:   the watch of one object: it goes on where it was cut, lists again when the server forgot that place (410),
 *         and pauses between tries, so that a server in trouble is not stormed.
 * Limits: an event of 4 MiB; a watch is asked for anew every minute, and given up when silent for longer.
 * Errors: BAD_CONFIG (kind missing) when there is no such model, or no longer; what cannot pass by itself, and
 *         anything at all before the first answer, is thrown at once.
 */
import type { IncomingMessage } from 'node:http';
import { kinds } from '../../api/error-kinds.ts';
import { AppError, kindOf, messageOf } from '../../api/errors.ts';
import { api } from '../../api/names.ts';
import type { OnnxModel } from '../../api/onnxmodel.ts';
import { isRecord } from '../../api/record.ts';
import type { Clock } from '../../lib/clock.ts';
import { backoffMs } from '../../lib/retry.ts';
import { isGone, statusError, type Cluster } from './api-server.ts';

export type ModelRef = { readonly namespace: string; readonly name: string };

type Listed = { readonly model: OnnxModel; readonly version: string };
type Seen = { readonly model?: OnnxModel; readonly version: string };

const answerWithinMs = 30_000;
const eventLimitBytes = 4 * 2 ** 20;
const backoff = { baseMs: 200, maxMs: 10_000 };
/** A watch that ends sooner than this did not end because its time was up. */
const shortWatchMs = 1_000;

/** @throws AppError BAD_CONFIG of kind missing */
export async function getModel(cluster: Cluster, ref: ModelRef, signal?: AbortSignal): Promise<OnnxModel> {
  return (await list(cluster, ref, signal)).model;
}

export type Following = {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** How long one watch lasts. Absent: a minute. */
  readonly watchSeconds?: number;
  /** Told when the server cannot be followed for the moment, and with undefined when it can again. */
  readonly trouble?: (problem: string | undefined) => void;
};

/** How far the following has come. */
type Place = { version: string | undefined; shown: boolean; failures: number };

/**
 * The model now and after each change, until the signal is aborted. A change may be shown twice, or with the one before
 * it.
 */
export async function* followModel(
  cluster: Cluster,
  ref: ModelRef,
  following: Following,
): AsyncGenerator<OnnxModel, void> {
  const { clock, signal } = following;
  const place: Place = { version: undefined, shown: false, failures: 0 };
  while (!signal.aborted) {
    const began = clock.monotonic();
    try {
      yield* listThenWatch(cluster, ref, following, place);
    } catch (error) {
      if (signal.aborted) return;
      if (!place.shown || !mayPass(error)) throw error;
      if (isGone(error)) place.version = undefined;
      else following.trouble?.(messageOf(error));
    }
    place.failures = clock.monotonic() - began < shortWatchMs ? place.failures + 1 : 0;
    if (place.failures > 0) await clock.sleep(backoffMs(backoff, place.failures, Math.random()), signal);
  }
}

function mayPass(error: unknown): boolean {
  return kinds[kindOf(error)].retry === 'backoff' && kindOf(error) !== 'bug';
}

/** One watch, from the place on; a list before it where there is no place. */
async function* listThenWatch(
  cluster: Cluster,
  ref: ModelRef,
  { signal, watchSeconds = 60, trouble }: Following,
  place: Place,
): AsyncGenerator<OnnxModel, void> {
  if (place.version === undefined) {
    const { model, version } = await list(cluster, ref, signal);
    place.version = version;
    place.shown = true;
    yield model;
  }
  for await (const { model, version } of watch(cluster, ref, { version: place.version, signal, watchSeconds })) {
    place.version = version;
    place.failures = 0;
    trouble?.(undefined);
    if (model !== undefined) yield model;
  }
}

/** Of all models of the namespace. */
export function pathOf(ref: ModelRef): string {
  return `/apis/${api.groupVersion}/namespaces/${encodeURIComponent(ref.namespace)}/${api.plural}`;
}

/** A list of one: its resourceVersion is one that a watch may begin from. */
async function list(cluster: Cluster, ref: ModelRef, signal: AbortSignal | undefined): Promise<Listed> {
  const path = pathOf(ref);
  const answer = await cluster.document({
    path,
    query: { fieldSelector: `metadata.name=${ref.name}` },
    signal,
    silentMs: answerWithinMs,
  });
  const { items, metadata } = isRecord(answer) ? answer : {};
  if (!Array.isArray(items) || !isRecord(metadata) || typeof metadata['resourceVersion'] !== 'string')
    throw unusable(path, 'it is not a list');
  if (items.length === 0) throw gone(ref, 'does not exist');
  return { model: modelOf(items[0], path), version: metadata['resourceVersion'] };
}

async function* watch(
  cluster: Cluster,
  ref: ModelRef,
  from: { readonly version: string; readonly signal: AbortSignal; readonly watchSeconds: number },
): AsyncGenerator<Seen, void> {
  const path = pathOf(ref);
  const query = {
    watch: 'true',
    allowWatchBookmarks: 'true',
    fieldSelector: `metadata.name=${ref.name}`,
    resourceVersion: from.version,
    timeoutSeconds: String(from.watchSeconds),
  };
  const answer = await cluster.open({ path, query, signal: from.signal, silentMs: from.watchSeconds * 1.25 * 1000 });
  try {
    for await (const line of linesOf(answer, path)) {
      const event = parsed(line, path);
      const { object } = event;
      if (event['type'] === 'ERROR')
        throw statusError(object, { status: 500, message: 'the watch failed' }, `GET ${path}`);
      if (event['type'] === 'DELETED') throw gone(ref, 'was deleted');
      if (event['type'] === 'BOOKMARK') yield { version: versionOf(object, path) };
      else yield { model: modelOf(object, path), version: versionOf(object, path) };
    }
  } finally {
    answer.destroy();
  }
}

async function* linesOf(answer: IncomingMessage, path: string): AsyncGenerator<string, void> {
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        yield rest.subarray(0, end).toString('utf8');
        rest = rest.subarray(end + 1);
      }
      if (rest.length > eventLimitBytes) throw new Error(`an event is longer than ${eventLimitBytes} bytes`);
    }
  } catch (error) {
    throw unusable(path, `the watch was cut (${messageOf(error)})`, error);
  }
}

function parsed(line: string, path: string): Record<string, unknown> {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw unusable(path, 'an event is not JSON', error);
  }
  if (!isRecord(event)) throw unusable(path, 'an event is not an object');
  return event;
}

function versionOf(object: unknown, path: string): string {
  const { metadata } = isRecord(object) ? object : {};
  const version = isRecord(metadata) ? metadata['resourceVersion'] : undefined;
  if (typeof version !== 'string') throw unusable(path, 'an event has no resourceVersion');
  return version;
}

/** What the server holds passed the schema of the kind; only what the schema does not cover is looked at here. */
function modelOf(value: unknown, path: string): OnnxModel {
  const { metadata } = isRecord(value) ? value : {};
  if (!isRecord(metadata) || typeof metadata['name'] !== 'string' || typeof metadata['generation'] !== 'number')
    throw unusable(path, `it is not an ${api.kind}`);
  return value as OnnxModel;
}

function unusable(path: string, problem: string, cause?: unknown): AppError {
  return new AppError('KUBE_ANSWER_UNUSABLE', { request: `GET ${path}`, problem }, { cause });
}

function gone({ namespace, name }: ModelRef, problem: string): AppError {
  return new AppError('BAD_CONFIG', { where: `${api.kind} ${namespace}/${name}`, problem }, { kind: 'missing' });
}
