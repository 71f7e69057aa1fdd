/**
 * What is said of a candidate under analysis that no request has come to.
 *
 * Pure.
 */
import type { GateReading, Millis, Revision } from './state.ts';

/** Minutes that the sentence names: few, so that a model without traffic does not get a new status every minute. */
const namedMinutes = [30, 10, 5, 3, 2, 1];

/**
 * The sentence, with what the user can do. Undefined when a request came, when it is not known, or within the first
 * minute.
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
    `URL"), or promote it unjudged with "kubectl-onnx promote" (requests that are refused as the client's mistake ` +
    'do not count)'
  );
}
