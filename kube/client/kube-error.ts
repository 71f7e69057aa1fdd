/**
 * The meaning of the API server's error answers.
 * Owns: converting a `Status` into an AppError of the right kind, and predicates on such errors.
 * Rule: callers test status and reason through these functions, never the message.
 */
import type { ErrorKind } from '../../api/error-kinds.ts';
import { AppError } from '../../api/errors.ts';

export type KubeStatus = {
  /** HTTP status code. */
  readonly status: number;
  /** The machine-readable reason: NotFound, Conflict, Expired … Empty when a proxy answered. */
  readonly reason: string;
  readonly message: string;
  /** `METHOD /path`, without the query. */
  readonly request?: string;
  /** The wait that the server asked for, in milliseconds. */
  readonly afterMs?: number;
};

export function statusError(status: KubeStatus): AppError<'KUBE_STATUS'> {
  return new AppError('KUBE_STATUS', status, { kind: kindOfStatus(status) });
}

/**
 * Decides whether and how an error is retried. A malformed object is not retried. A forbidden call is retried, because
 * RBAC may be fixed in the meantime. A conflict is retried with a fresh read.
 */
function kindOfStatus({ status, reason, message }: KubeStatus): ErrorKind {
  if (status >= 500 && (reason === 'Invalid' || message.includes(unappliable))) return 'invalid';
  return kindByStatus[status] ?? 'transient';
}

/**
 * When an apply does not match the schema, the server answers with 500, an empty reason and this message. A retry does
 * not help.
 */
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

/** @returns undefined when the error did not come from the API server */
export function statusOf(error: unknown): KubeStatus | undefined {
  return error instanceof AppError && error.code === 'KUBE_STATUS' ? (error.params as KubeStatus) : undefined;
}

export function isNotFound(error: unknown): boolean {
  return statusOf(error)?.status === 404;
}

/** The object has changed since the caller read it. False for AlreadyExists, which is a 409, too. */
export function isConflict(error: unknown): boolean {
  const status = statusOf(error);
  return status?.status === 409 && status.reason !== 'AlreadyExists';
}

export function isAlreadyExists(error: unknown): boolean {
  const status = statusOf(error);
  return status?.status === 409 && status.reason === 'AlreadyExists';
}

/** The resourceVersion or continue token is older than the server's history. */
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

/** The namespace is being deleted: no object can be created in it any more. */
export function isNamespaceTerminating(error: unknown): boolean {
  const status = statusOf(error);
  return status?.status === 403 && status.message.includes('because it is being terminated');
}

/**
 * The server does not have the requested resourceVersion yet: it restarted, or another replica answered. The answer is
 * a Timeout (504). The function tests the message, because older servers give the cause only in the message.
 */
export function isTooLargeVersion(error: unknown): boolean {
  const status = statusOf(error);
  return (
    status !== undefined &&
    (status.status === 504 || status.reason === 'Timeout') &&
    status.message.includes('Too large resource version')
  );
}
