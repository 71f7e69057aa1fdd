/**
 * Forwards one HTTP request to a pod and streams its answer back.
 * Owns: which headers are forwarded, and the answer when no pod can be reached. Connections from clients stay open
 * between requests. Each request to a pod has its own connection: on a shared connection, a request would be lost when
 * the pod closes the connection while the request is sent.
 * Limits: the proxy holds no more data than the sockets' buffers. When one side disconnects, the other side is closed.
 */
import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Backend } from '../router/backends.ts';

/** Connect timeout in milliseconds. A pod on this machine answers at once or not at all. */
const connectTimeoutMs = 2000;

/** Hop-by-hop headers (RFC 9110 7.6.1), which a proxy must not forward. */
const ofConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Forwards a request. @param order the pods to try, until one of them accepts the connection */
export async function forward(
  incoming: IncomingMessage,
  answer: ServerResponse,
  order: readonly Backend[],
): Promise<void> {
  const socket = await openFirst(order);
  if (socket === undefined) return refuse(answer, 503, 'no pod of the Service accepts connections');
  if (answer.destroyed) {
    socket.destroy();
    return;
  }
  const { method, url: path } = incoming;
  const chunked = incoming.headers['transfer-encoding'] === undefined ? [] : ['transfer-encoding', 'chunked'];
  const headers = [
    ...goOn(incoming.rawHeaders),
    ...chunked,
    'x-forwarded-for',
    incoming.socket.remoteAddress ?? 'unknown',
    'connection',
    'close',
  ];
  const sent = request({ method, path, headers, createConnection: () => socket, setHost: false });
  sent.on('response', (response) => {
    answer.writeHead(response.statusCode ?? 502, response.statusMessage, goOn(response.rawHeaders));
    answer.flushHeaders();
    // When the pod's answer is truncated, break the client's connection: the answer must not look complete.
    pipeline(response, answer, (error) => (error === null || error === undefined ? undefined : answer.destroy()));
  });
  sent.on('error', () =>
    answer.headersSent ? answer.destroy() : refuse(answer, 502, 'the pod ended the connection without an answer'),
  );
  answer.once('close', () => (answer.writableFinished ? undefined : sent.destroy()));
  incoming.pipe(sent);
}

export function refuse(answer: ServerResponse, status: number, why: string): void {
  if (answer.destroyed || answer.headersSent) return;
  answer.writeHead(status, { 'content-type': 'text/plain' }).end(`${why}\n`);
}

/** The headers without the hop-by-hop headers, as alternating names and values in their original order. */
function goOn(raw: readonly string[]): string[] {
  const named = new Set(listed(raw));
  return raw.filter((_, index) => {
    const name = raw[index - (index % 2)]?.toLowerCase() ?? '';
    return !ofConnection.has(name) && !named.has(name);
  });
}

/** The lower-case names in the Connection header: the headers that it names are hop-by-hop, too. */
function listed(raw: readonly string[]): readonly string[] {
  return raw.flatMap((value, index) =>
    index % 2 === 1 && raw[index - 1]?.toLowerCase() === 'connection'
      ? value.split(',').map((name) => name.trim().toLowerCase())
      : [],
  );
}

async function openFirst(order: readonly Backend[]): Promise<Socket | undefined> {
  for (const backend of order) {
    const socket = await open(backend);
    if (socket !== undefined) return socket;
  }
  return undefined;
}

function open({ host, port }: Backend): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true, timeout: connectTimeoutMs });
    const fail = (): void => {
      socket.destroy();
      resolve(undefined);
    };
    socket.once('error', fail).once('timeout', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', fail).off('timeout', fail);
      resolve(socket);
    });
  });
}
