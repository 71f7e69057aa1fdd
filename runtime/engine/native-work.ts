/**
 * Whether native code is at work in this process that nothing can interrupt: loads and runs of ONNX Runtime.
 *
 * Owns:  the set of them. `process.exit` waits for threads that do not return; while there are any, only SIGKILL ends
 *        the process at once.
 */
const underWay = new Set<object>();

/** @returns call it when the work has returned */
export function beginNativeWork(): () => void {
  const work = {};
  underWay.add(work);
  return () => underWay.delete(work);
}

/** Ends the process with this exit code, or with SIGKILL (137) while native code is at work. */
export function quit(code: number): never {
  if (underWay.size > 0) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}
