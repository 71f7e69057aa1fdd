/**
 * Errors of the Kubernetes API: objects of kind `Status` with a reason, a message and causes.
 * Owns: the text and the HTTP status of every error. The messages are the same as on kube-apiserver, because people
 * search for them and some clients compare them.
 */
import { AppError } from '../../api/errors.ts';
import type { Cause } from '../../kube/schema/cause.ts';

export type StatusDetails = {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
};

export type StatusBody = {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
};

/** An error of the API. `params.message` is its message; `body` is what a client gets. */
export class StatusError extends AppError<'KUBE_STATUS'> {
  readonly body: StatusBody;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super('KUBE_STATUS', { status: code, reason, message });
    this.body = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason === '' ? {} : { reason }),
      ...(details === undefined ? {} : { details }),
      code,
    };
  }
}

/**
 * What an error is about: the group and the plural of the resource, and the kind. An Invalid error prints the kind;
 * other errors print the plural.
 */
export type Subject = { readonly group: string; readonly plural: string; readonly kind: string };

function qualified(subject: Subject): string {
  return subject.group === '' ? subject.plural : `${subject.plural}.${subject.group}`;
}

function detailsOf(subject: Subject, name: string): StatusDetails {
  return {
    ...(name === '' ? {} : { name }),
    ...(subject.group === '' ? {} : { group: subject.group }),
    kind: subject.plural,
  };
}

export function notFound(subject: Subject, name: string): StatusError {
  return new StatusError(404, 'NotFound', `${qualified(subject)} "${name}" not found`, detailsOf(subject, name));
}

export function alreadyExists(subject: Subject, name: string): StatusError {
  return new StatusError(
    409,
    'AlreadyExists',
    `${qualified(subject)} "${name}" already exists`,
    detailsOf(subject, name),
  );
}

export function conflict(subject: Subject, name: string, why: string): StatusError {
  return new StatusError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`,
    detailsOf(subject, name),
  );
}

/** The message for a stale resourceVersion. Clients compare this text. */
export const modifiedMeanwhile =
  'the object has been modified; please apply your changes to the latest version and try again';

export function forbidden(subject: Subject, name: string, why: string, causes?: readonly Cause[]): StatusError {
  const details = { ...detailsOf(subject, name), ...(causes === undefined ? {} : { causes }) };
  return new StatusError(403, 'Forbidden', `${qualified(subject)} "${name}" is forbidden: ${why}`, details);
}

/**
 * 422 with every cause. As on kube-apiserver, a single cause is printed without brackets; several causes are printed
 * in brackets.
 */
export function invalidObject(subject: Subject, name: string, causes: readonly Cause[]): StatusError {
  const lines = [
    ...new Set(causes.map((cause) => (cause.field === undefined ? cause.message : `${cause.field}: ${cause.message}`))),
  ];
  const list = lines.length === 1 ? lines[0] : `[${lines.join(', ')}]`;
  const kind = subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`;
  const details: StatusDetails = {
    ...(name === '' ? {} : { name }),
    ...(subject.group === '' ? {} : { group: subject.group }),
    kind: subject.kind,
    causes,
  };
  return new StatusError(422, 'Invalid', `${kind} "${name}" is invalid: ${list}`, details);
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

export function methodNotAllowed(
  message = 'the server does not allow this method on the requested resource',
): StatusError {
  return new StatusError(405, 'MethodNotAllowed', message, {});
}

/** The answer for an unknown path. */
export function unknownPath(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** 404 for a type that a real cluster may serve but local mode does not; the message names the type. */
export function notServed(what: string): StatusError {
  return new StatusError(
    404,
    'NotFound',
    `the server could not find the requested resource: local mode does not serve ${what}`,
    {},
  );
}

/** 410: the events or the page that the client asks for are no longer available. The client then lists again. */
export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message);
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  return new StatusError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}
