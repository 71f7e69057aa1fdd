/**
 * The sidecar's settings, from environment variables.
 *
 * Owns:  the addresses on which the sidecar listens, and the address at which it reads the runtime's counters. Without
 *        the config file of the pod's revision, the revision is 'unknown' until the runtime's first answer, and no
 *        golden set (inputs that a pod must answer before it gets traffic) is run.
 */
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { AppError } from '../../api/errors.ts';
import { env, paths, ports } from '../../api/names.ts';

export type SidecarConfig = {
  /** The addresses at which `/report` is served. The first is the pod's address, at which the runtime also listens. */
  readonly addresses: readonly [string, ...string[]];
  readonly reportPort: number;
  readonly countersPort: number;
  /** Ten hex digits, or `unknown` when no config is mounted. */
  readonly revision: string;
  /** The folder in which the revision's config is mounted. */
  readonly configDir: string;
  /** The folder in which `prepare` stores fetched files. */
  readonly cacheDir: string;
};

/** A config has a few KiB; a larger file is ignored. */
const configLimitBytes = 1 << 20;

/** @throws AppError BAD_CONFIG when POD_IP is not an IP address */
export function sidecarConfig(environment: Readonly<Record<string, string | undefined>>): SidecarConfig {
  const podIp = environment[env.podIp] ?? '127.0.0.1';
  if (isIP(podIp) === 0)
    throw new AppError('BAD_CONFIG', {
      where: `environment variable ${env.podIp}`,
      problem: `'${podIp}' is not an IP address`,
    });
  // In local mode every pod has its own loopback address, and pods must not occupy 127.0.0.1.
  const addresses: readonly [string, ...string[]] = isLoopback(podIp) ? [podIp] : [podIp, '127.0.0.1'];
  const configDir = environment[env.configDir] ?? paths.configDir;
  return {
    addresses,
    reportPort: ports.sidecar,
    countersPort: ports.metrics,
    revision: revisionIn(configDir),
    configDir,
    cacheDir: environment[env.cacheDir] ?? paths.cacheDir,
  };
}

function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1';
}

function revisionIn(configDir: string): string {
  const file = join(configDir, paths.configFile);
  try {
    if (statSync(file).size > configLimitBytes) return 'unknown';
    const config: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const revision = (config as { readonly revision?: unknown } | null)?.revision;
    return typeof revision === 'string' ? revision : 'unknown';
  } catch {
    // The runtime reports errors of this file, so the sidecar ignores them.
    return 'unknown';
  }
}
