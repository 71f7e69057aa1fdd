/**
 * A busy neighbour: a process that keeps one CPU busy.
 * Use: `neighbour.ts`; it ends with its parent's signal, or after two hours.
 */
const beganMs = Date.now();
const longestMs = 2 * 3_600_000;

while (Date.now() - beganMs < longestMs) {
  // Busy on purpose.
}
