/**
 * What a sidecar and a runtime say to each other with a request that must not be in a user's way, at the runtime's port
 * for sidecars.
 *
 * Owns: the headers' names. A request with the first is refused with NOT_IDLE while users' requests wait or run
 *       everywhere.
 */
export const besideHeader = 'x-onnx-beside-users';
/**
 * In an answer to a sidecar: milliseconds that the request took inside the runtime, without those in the queue. Absent
 * when it is comparable with nothing: it came while the runtime was not idle, or shared its run with others.
 */
export const serviceHeader = 'x-onnx-service-ms';

/** @returns undefined when there is none, or nothing that could be one */
export function serviceMsIn(header: string | readonly string[] | undefined): number | undefined {
  const ms = typeof header === 'string' && /^\d{1,9}(\.\d{1,6})?$/.test(header) ? Number(header) : 0;
  return ms > 0 ? ms : undefined;
}
