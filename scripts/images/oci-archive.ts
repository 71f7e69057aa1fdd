/**
 * Makes an OCI archive of a folder.
 * Owns: the calls of buildah, which also set the image's configuration (user, entry point, environment, labels), and
 * reading the digest of an archive.
 * Why: the image has one uncompressed layer, in which all files have the same timestamp. The same commit therefore
 * gives the same layer, and a node does not have to decompress it.
 */
import { BuildError, isInstalled, runProgram } from './run-program.ts';

export type ImageConfig = {
  readonly tag: string;
  readonly entrypoint: readonly string[];
  readonly user: string;
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** The timestamp of the image and of all its files, in seconds since the epoch. */
  readonly timestampSeconds: number;
};

/** @throws BuildError when buildah is not installed */
export function requireBuildah(): void {
  if (isInstalled('buildah')) return;
  throw new BuildError(
    'buildah is not installed; on Debian: apt-get install --no-install-recommends buildah (as root)',
  );
}

/**
 * Writes the archive.
 * @param root the folder that becomes `/`
 * @param file the path of the archive; an existing file is replaced
 */
export function writeOciArchive(root: string, file: string, config: ImageConfig): void {
  const container = runProgram('buildah', ['from', 'scratch']);
  try {
    runProgram('buildah', ['copy', '--quiet', container, root, '/']);
    const env = Object.entries(config.env).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    const labels = Object.entries(config.labels).flatMap(([name, value]) => ['--label', `${name}=${value}`]);
    runProgram('buildah', [
      'config',
      '--entrypoint',
      JSON.stringify(config.entrypoint),
      '--user',
      config.user,
      '--workingdir',
      '/app',
      ...env,
      ...labels,
      container,
    ]);
    runProgram('buildah', [
      'commit',
      '--quiet',
      '--disable-compression',
      '--omit-history',
      '--timestamp',
      String(config.timestampSeconds),
      container,
      `oci-archive:${file}:${config.tag}`,
    ]);
  } finally {
    runProgram('buildah', ['rm', container]);
  }
}

/** The digest of an archive's image, as a registry would name it. */
export function digestOf(file: string): string {
  const index = JSON.parse(runProgram('tar', ['-xOf', file, 'index.json'])) as {
    readonly manifests: readonly { readonly digest: string }[];
  };
  return index.manifests[0]?.digest ?? 'unknown';
}
