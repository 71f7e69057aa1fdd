/**
 * The message about a candidate under analysis that received no requests.
 *
 * Pure.
 */
import type { GateReading, Millis, Revision } from './state.ts';

/**
 * The numbers of minutes that the message may name. There are only a few such numbers, so that the status of an idle
 * model does not change every minute.
 */
const namedMinutes = [30, 10, 5, 3, 2, 1];

/**
 * The message, with the command that the user can run next. Undefined within the first minute, when a request arrived,
 * or when it is unknown whether a request arrived.
 *
 * @param waitedMs milliseconds since the weight was reached
 */
export function noRequests(
  candidate: Revision,
  reading: GateReading | undefined,
  waitedMs: Millis,
): string | undefined {
  const minutes = namedMinutes.find((count) => waitedMs >= count * 60_000);
  if (reading?.idle !== true || reading.pending === true || minutes === undefined) return undefined;
  return (
    `no requests came to ${candidate} in ${minutes} min; send requests to the model's address ("npm run load -- ` +
    `URL"), or promote it unjudged with "kubectl-onnx promote" (requests that failed because of an error of the ` +
    'client do not count)'
  );
}
