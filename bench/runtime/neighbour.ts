/**
 * A busy neighbour: a process that keeps one CPU busy, as another user of the machine may do.
 * Ends: with its parent.
 */
const parent = process.ppid;

while (process.ppid === parent) {
  // An empty loop, to use CPU time.
}
