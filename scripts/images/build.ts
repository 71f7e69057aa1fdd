/**
 * `npm run image -- --out FILE.tar [--tag TAG]`: the runtime's image as an OCI archive.
 * Owns: flags, the order of the steps and the output. The containers prepare, runtime and sidecar use the same image,
 * so a node pulls it only once.
 * Ends: 0, or 2 with a message when a flag is wrong or a prerequisite is missing.
 */
import '../node-guard.cjs';
import { mkdtempSync, mkdirSync, readdirSync, rmSync, statSync, lstatSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '../../api/errors.ts';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { nativeEnvironment } from '../../api/names.ts';
import { installApp } from './app-files.ts';
import { installBase, userId } from './base-files.ts';
import { defaultTag } from './default-tag.ts';
import { requireBuildah, writeOciArchive, type ImageConfig } from './oci-archive.ts';
import { BuildError, runProgram } from './run-program.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

const usage = `usage: npm run image -- --out FILE.tar [--tag TAG]

Builds the image of prepare, runtime and sidecar and writes it as an OCI archive.
Needs buildah, apt-get with fresh lists, dpkg, and node_modules from npm ci.

  --out FILE   the archive to write; replaced when it exists
  --tag TAG    the image's name (${defaultTag})
`;

function main(): number {
  const values = parseOnlyFlags('build', process.argv.slice(2), {
    out: { type: 'string' },
    tag: { type: 'string', default: defaultTag },
    help: { type: 'boolean', short: 'h', default: false },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (values.out === undefined) throw new BuildError(`--out is missing: the path of the archive to write\n\n${usage}`);
  requireBuildah();
  const work = mkdtempSync(join(tmpdir(), 'onnx-image-'));
  try {
    build(work, resolve(values.out), values.tag);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return 0;
}

function build(work: string, out: string, tag: string): void {
  const root = join(work, 'root');
  mkdirSync(root);
  const debian = installBase(root, work);
  const packages = installApp({ repository, root });
  mkdirSync(dirname(out), { recursive: true });
  rmSync(out, { force: true });
  writeOciArchive(root, out, imageConfig(tag));
  console.log(`base      ${debian.join(', ')}, node ${process.versions.node}`);
  console.log(`packages  ${packages.join(', ')}`);
  console.log(
    `size      ${mebibytes(sizeOf(root))} unpacked (node ${mebibytes(sizeOf(join(root, 'usr/local')))}, app ` +
      `${mebibytes(sizeOf(join(root, 'app')))})`,
  );
  console.log(`image     ${tag} in ${out}, ${mebibytes(statSync(out).size)}`);
}

function imageConfig(tag: string): ImageConfig {
  const commit = commitOf();
  return {
    tag,
    entrypoint: ['/usr/local/bin/node', '/app/runtime/main.js'],
    user: `${userId}:${userId}`,
    env: {
      PATH: '/usr/local/bin',
      NODE_ENV: 'production',
      ...nativeEnvironment,
    },
    labels: {
      'org.opencontainers.image.title': 'onnx-runtime',
      'org.opencontainers.image.description': 'Serves one ONNX model: prepare, runtime and sidecar of onnx-operator',
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.revision': commit.id,
    },
    timestampSeconds: commit.timeSeconds,
  };
}

/** The commit that is checked out. In a source archive without a history, the id is `unknown` and the time is 0. */
function commitOf(): { readonly id: string; readonly timeSeconds: number } {
  try {
    const [id = 'unknown', time = '0'] = runProgram('git', ['log', '-1', '--format=%H %ct'], repository).split(' ');
    // Mark the id when the tree has uncommitted changes: the commit alone does not describe such an image.
    const changed = runProgram('git', ['status', '--porcelain'], repository) !== '';
    return { id: changed ? `${id}-modified` : id, timeSeconds: Number(time) };
  } catch {
    return { id: 'unknown', timeSeconds: 0 };
  }
}

function sizeOf(path: string): number {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

function mebibytes(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof BuildError || (error instanceof AppError && error.code === 'BAD_FLAG'))) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 2;
}
