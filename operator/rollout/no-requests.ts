/**
 * The message about a candidate under analysis that received no requests.
 *
 * Pure.
 */
import type { GateReading, Millis, Revision } from './state.ts';

/** Minutes that the message may name: only a few, so that an idle model's status does not change every minute. */
const namedMinutes = [30, 10, 5, 3, 2, 1];

/**
 * The message, with the user's next command. Undefined when a request arrived, when that is unknown, or within the
 * first minute.
 *
 * @param waitedMs since the weight was reached
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
