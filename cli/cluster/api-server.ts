/**
 * The API server that the user's kubeconfig names: one request at a time, with the user's own credentials.
 *
 * Owns:   client-node's part in the CLI (kubeconfig, exec plugins, client certificates, proxies), loaded on first use.
 * Limits: a refusal of 64 KiB, a document of 8 MiB; an answer that is silent for longer than the caller allows.
 * Errors: BAD_CONFIG without a usable kubeconfig; KUBE_STATUS with the kind that says who can fix it; KUBE_UNREACHABLE.
 */
import type { IncomingMessage } from 'node:http';
import { request as overHttp } from 'node:http';
import { request as overHttps, type RequestOptions } from 'node:https';
import type { ErrorKind } from '../../api/error-kinds.ts';
import { AppError, messageOf } from '../../api/errors.ts';
import { isRecord } from '../../api/record.ts';

export type ClusterChoice = {
  /** Absent: $KUBECONFIG, then ~/.kube/config, then the pod's service account. */
  readonly kubeconfig?: string | undefined;
  /** Absent: the file's current context. */
  readonly context?: string | undefined;
};

export type Get = {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** A connection that says nothing for so long is given up. */
  readonly silentMs: number;
};

export type Patch = {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** What the body is, which also says how it is put together with what is there. */
  readonly type: 'application/merge-patch+json' | 'application/json-patch+json';
  readonly body: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly silentMs: number;
};

export interface Cluster {
  /** Of the context, or "default". */
  readonly namespace: string;
  /** The body of a 2xx answer, as it comes. */
  open(get: Get): Promise<IncomingMessage>;
  /** The JSON document of a 2xx answer. */
  document(get: Get): Promise<unknown>;
  /** The object as it is after the patch. */
  patch(patch: Patch): Promise<unknown>;
}

const refusalLimitBytes = 64 * 1024;
const documentLimitBytes = 8 * 2 ** 20;

export async function openCluster(choice: ClusterChoice): Promise<Cluster> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const where = choice.kubeconfig ?? 'kubeconfig';
  const wrong = (problem: string, cause?: unknown): AppError =>
    new AppError('BAD_CONFIG', { where, problem }, { cause });
  const config = new KubeConfig();
  try {
    if (choice.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(choice.kubeconfig);
  } catch (error) {
    throw wrong(messageOf(error), error);
  }
  if (choice.context !== undefined) config.setCurrentContext(choice.context);
  const current = config.getCurrentContext();
  // The name that client-node gives to what it makes up when it finds nothing at all.
  if (current === 'loaded-context')
    throw wrong('none found: give --kubeconfig, set KUBECONFIG or write ~/.kube/config');
  const server = config.getCurrentCluster()?.server.replace(/\/+$/, '');
  if (server === undefined) throw wrong(`context '${current}' names no cluster that the file has`);

  const credentials = async (): Promise<RequestOptions> => {
    const options: RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(options);
    } catch (error) {
      throw wrong(`no credentials: ${messageOf(error).trim()}`, error);
    }
    return options;
  };
  const open = async (call: Call): Promise<IncomingMessage> => {
    const answer = await send(server, call, await credentials());
    const { statusCode = 0 } = answer;
    if (statusCode >= 200 && statusCode <= 299) return answer;
    throw refusal(statusCode, await textOf(answer, refusalLimitBytes).catch(() => ''), nameOf(call));
  };
  const document = async (call: Call): Promise<unknown> => {
    try {
      return JSON.parse(await textOf(await open(call), documentLimitBytes)) as unknown;
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw new AppError(
        'KUBE_ANSWER_UNUSABLE',
        { request: nameOf(call), problem: messageOf(error) },
        { cause: error },
      );
    }
  };
  return { namespace: config.getContextObject(current)?.namespace ?? 'default', open, document, patch: document };
}

type Call = Get | Patch;

function nameOf(call: Call): string {
  return `${'body' in call ? 'PATCH' : 'GET'} ${call.path}`;
}

function send(server: string, call: Call, options: RequestOptions): Promise<IncomingMessage> {
  const { path, query, signal, silentMs } = call;
  const body = 'body' in call ? JSON.stringify(call.body) : undefined;
  const url = new URL(`${server}${path}${query === undefined ? '' : `?${new URLSearchParams(query).toString()}`}`);
  const start = url.protocol === 'http:' ? overHttp : overHttps;
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const kind = 'body' in call ? { 'content-type': call.type } : {};
    const headers = {
      ...(options.headers as Readonly<Record<string, string>> | undefined),
      ...kind,
      accept: 'application/json',
      'user-agent': 'kubectl-onnx',
    };
    const asked = start(url, {
      ...options,
      headers,
      method: body === undefined ? 'GET' : 'PATCH',
      timeout: silentMs,
      ...(signal === undefined ? {} : { signal }),
    });
    asked.once('response', (response) => resolve((answer = response)));
    asked.once('timeout', () => (answer ?? asked).destroy(new Error(`it said nothing for ${silentMs} ms`)));
    asked.on('error', (error) =>
      reject(new AppError('KUBE_UNREACHABLE', { server, why: whyOf(error) }, { cause: error })),
    );
    asked.end(body);
  });
}

/** Node reports a host with several addresses as an AggregateError whose own message is empty. */
function whyOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join(', ');
  return messageOf(error);
}

async function textOf(answer: IncomingMessage, limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw new Error(`it is longer than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Asking again helps against none of these; anything else may pass. */
const kindByStatus: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid',
  401: 'invalid',
  403: 'invalid',
  404: 'missing',
  405: 'invalid',
  406: 'invalid',
  409: 'conflict',
  422: 'invalid',
  429: 'overloaded',
};

/** @param text a Status; a proxy may have answered with anything */
function refusal(status: number, text: string, request: string): AppError<'KUBE_STATUS'> {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch {
    said = undefined;
  }
  return statusError(said, { status, message: text.slice(0, 200).trim() || 'no explanation' }, request);
}

/** @param said a Status, of an answer or of a watch's ERROR event; what it does not say comes from `fallback` */
export function statusError(
  said: unknown,
  fallback: { readonly status: number; readonly message: string },
  request: string,
): AppError<'KUBE_STATUS'> {
  const { code, reason, message } = isRecord(said) ? said : {};
  const status = typeof code === 'number' ? code : fallback.status;
  const words = {
    reason: typeof reason === 'string' ? reason : '',
    message: typeof message === 'string' ? message : fallback.message,
  };
  return new AppError('KUBE_STATUS', { status, ...words, request }, { kind: kindByStatus[status] ?? 'transient' });
}

/** The server no longer remembers the resourceVersion that a watch was to go on from. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.code === 'KUBE_STATUS' &&
    (error.params as { readonly status: number }).status === 410
  );
}

/** Somebody else wrote in between. */
export function isConflict(error: unknown): boolean {
  return error instanceof AppError && error.code === 'KUBE_STATUS' && error.kind === 'conflict';
}
