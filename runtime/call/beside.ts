/**
 * The names of the headers that a sidecar and the runtime exchange on the port for sidecars.
 *
 * Owns: these names. A request with `besideHeader` must not delay user requests. It is refused with NOT_IDLE while a
 *       request is queued, or while fewer than two workers are free (one, if only one worker is ready).
 */
export const besideHeader = 'x-onnx-beside-users';
/**
 * Header of an answer to a sidecar: milliseconds that the request took inside the runtime, without the queue. Absent
 * when the time is not comparable: the runtime was not idle when the request arrived, or other requests shared its run.
 */
export const serviceHeader = 'x-onnx-service-ms';

/** @returns undefined when the header is absent or not a valid time */
export function serviceMsIn(header: string | readonly string[] | undefined): number | undefined {
  const ms = typeof header === 'string' && /^\d{1,9}(\.\d{1,6})?$/.test(header) ? Number(header) : 0;
  return ms > 0 ? ms : undefined;
}
