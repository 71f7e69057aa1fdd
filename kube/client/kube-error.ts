/**
 * What the API server's refusals mean.
 *
 * Owns: turning a `Status` into an AppError of the right kind, and asking an error what it was.
 * Rule: who wants to know looks at status and reason through these functions, never at a message.
 */
import type { ErrorKind } from '../../api/error-kinds.ts';
import { AppError } from '../../api/errors.ts';

export type KubeStatus = {
  /** HTTP status code. */
  readonly status: number;
  /** The machine-readable word: NotFound, Conflict, Expired … Empty when a proxy answered. */
  readonly reason: string;
  readonly message: string;
  /** `METHOD /path`, without the query. */
  readonly request?: string;
  /** How long the server asked to wait, in milliseconds. */
  readonly afterMs?: number;
};

export function statusError(status: KubeStatus): AppError<'KUBE_STATUS'> {
  return new AppError('KUBE_STATUS', status, { kind: kindOfStatus(status) });
}

/**
 * Retrying a malformed object never helps; what is forbidden may be allowed once RBAC is mended, so it is retried;
 * a conflict needs a fresh read.
 */
function kindOfStatus({ status, reason, message }: KubeStatus): ErrorKind {
  if (status >= 500 && (reason === 'Invalid' || message.includes(unappliable))) return 'invalid';
  return kindByStatus[status] ?? 'transient';
}

/** A server-side apply of what does not fit the schema is answered with 500 and no reason; it never fits. */
const unappliable = 'failed to create typed patch object';

const kindByStatus: Readonly<Record<number, ErrorKind>> = {
  400: 'invalid',
  404: 'missing',
  405: 'invalid',
  406: 'invalid',
  409: 'conflict',
  413: 'oversize',
  415: 'invalid',
  422: 'invalid',
  429: 'overloaded',
};

/** @returns undefined when the error is not an answer of the API server */
export function statusOf(error: unknown): KubeStatus | undefined {
  return error instanceof AppError && error.code === 'KUBE_STATUS' ? (error.params as KubeStatus) : undefined;
}

export function isNotFound(error: unknown): boolean {
  return statusOf(error)?.status === 404;
}

/** Someone else wrote since we read. AlreadyExists is also a 409 and is not meant here. */
export function isConflict(error: unknown): boolean {
  const status = statusOf(error);
  return status?.status === 409 && status.reason !== 'AlreadyExists';
}

export function isAlreadyExists(error: unknown): boolean {
  const status = statusOf(error);
  return status?.status === 409 && status.reason === 'AlreadyExists';
}

/** The resourceVersion or continue token is older than what the server remembers. */
export function isGone(error: unknown): boolean {
  const status = statusOf(error);
  return status !== undefined && (status.status === 410 || status.reason === 'Expired' || status.reason === 'Gone');
}

/** The server did not accept the credentials. */
export function isUnauthorized(error: unknown): boolean {
  return statusOf(error)?.status === 401;
}

export function isForbidden(error: unknown): boolean {
  return statusOf(error)?.status === 403;
}

/** The schema, a CEL rule or admission refused the object. */
export function isInvalid(error: unknown): boolean {
  const status = statusOf(error);
  return status?.status === 422 || status?.status === 400;
}

export function isTooManyRequests(error: unknown): boolean {
  return statusOf(error)?.status === 429;
}

/** The namespace is being deleted: nothing can be made in it any more. */
export function isNamespaceTerminating(error: unknown): boolean {
  const status = statusOf(error);
  return status?.status === 403 && status.message.includes('because it is being terminated');
}

/**
 * The server has not yet seen the resourceVersion that was asked for: it restarted, or another one answered.
 * The reason is Timeout (504); older servers say so in the message only.
 */
export function isTooLargeVersion(error: unknown): boolean {
  const status = statusOf(error);
  return (
    status !== undefined &&
    (status.status === 504 || status.reason === 'Timeout') &&
    status.message.includes('Too large resource version')
  );
}
