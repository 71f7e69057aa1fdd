/** Reads the CPU time of this process. */

/** CPU time of all threads of this process so far, in milliseconds. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
