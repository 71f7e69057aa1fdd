/**
 * Tracks native code that cannot be interrupted: loads and runs of ONNX Runtime.
 *
 * Owns:  the set of native calls in progress. `process.exit` waits for threads that run native code. While a thread
 *        runs native code, only SIGKILL ends the process at once.
 */
const underWay = new Set<object>();

/** @returns a function to call when the native call has returned */
export function beginNativeWork(): () => void {
  const work = {};
  underWay.add(work);
  return () => underWay.delete(work);
}

/** Ends the process with this exit code, or with SIGKILL (exit code 137) while a native call is in progress. */
export function quit(code: number): never {
  if (underWay.size > 0) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}
