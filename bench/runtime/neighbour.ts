/**
 * A busy neighbour: a process that keeps one CPU busy.
 * Ends: with its parent.
 */
const parent = process.ppid;

while (process.ppid === parent) {
  // Busy on purpose.
}
