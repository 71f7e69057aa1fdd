/**
 * What the sidecar has to know, from its environment.
 *
 * Owns:  which addresses it listens at and where it reads the runtime's counters. It needs no file: without the
 *        revision's config, reports made before the runtime has spoken lack a name, and no golden set is run.
 */
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { AppError } from '../../api/errors.ts';
import { env, paths, ports } from '../../api/names.ts';

export type SidecarConfig = {
  /** Where `/report` is served; the first is the pod's own address, which the runtime has too. */
  readonly addresses: readonly [string, ...string[]];
  readonly reportPort: number;
  readonly countersPort: number;
  /** Ten hex digits, or `unknown` when no config is mounted. */
  readonly revision: string;
  /** Where the revision's config is mounted, and where `prepare` keeps what it fetched. */
  readonly configDir: string;
  readonly cacheDir: string;
};

/** A config is a few KiB; whatever is larger is not one. */
const configLimitBytes = 1 << 20;

/** @throws AppError BAD_CONFIG when POD_IP is no address */
export function sidecarConfig(environment: Readonly<Record<string, string | undefined>>): SidecarConfig {
  const podIp = environment[env.podIp] ?? '127.0.0.1';
  if (isIP(podIp) === 0)
    throw new AppError('BAD_CONFIG', {
      where: `environment variable ${env.podIp}`,
      problem: `'${podIp}' is not an IP address`,
    });
  // In local mode every pod has a loopback address of its own and 127.0.0.1 belongs to the machine.
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
    // The runtime says what is wrong with its config, and loudly; the sidecar's reports only lack a name until then.
    return 'unknown';
  }
}
