/**
 * `npm run image -- --image operator --out FILE.tar`: an image of this repository as an OCI archive, or its root as a
 * folder for the Dockerfiles of images/.
 * Owns: flags, the order of the steps and the output. The containers prepare, runtime and sidecar use the same image,
 * so a node pulls it only once.
 * Ends: 0, or 2 with a message when a flag is wrong or a prerequisite is missing.
 */
import '../node-guard.cjs';
import { copyFileSync, existsSync, mkdtempSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '../../api/errors.ts';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { imageKinds, imageNames, userId, type ImageKind } from './image-kinds.ts';
import { digestOf, requireBuildah, writeOciArchive, type ImageConfig } from './oci-archive.ts';
import { makeRoot, mebibytes, versionOf } from './root-files.ts';
import { BuildError, runProgram } from './run-program.ts';
import { billFile } from './sbom.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

const usage = `usage: npm run image -- [--image NAME] --out FILE.tar [--tag TAG]
       npm run image -- [--image NAME] --root DIR

Builds an image and writes it as an OCI archive, with a bill of materials (CycloneDX) beside it. Equal commits and equal
Debian packages give the same digest, which is printed.
Needs buildah, apt-get with fresh lists, dpkg, and node_modules from npm ci.

  --image NAME   ${imageNames.join(' or ')} (runtime: the image of prepare, runtime and sidecar; the default)
  --out FILE     the archive to write; replaced when it exists
  --tag TAG      the image's name (${imageNames.map((name) => imageKinds[name].defaultTag).join(', ')})
  --root DIR     write the image's files into this new or empty folder instead; needs no buildah

  SOURCE_DATE_EPOCH   the time of the files, in seconds since 1970 (default: the time of the commit)
`;

function main(): number {
  const values = parseOnlyFlags('build', process.argv.slice(2), {
    image: { type: 'string', default: 'runtime' },
    out: { type: 'string' },
    root: { type: 'string' },
    tag: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const kind = kindOf(values.image);
  if (values.out !== undefined && values.root === undefined) {
    requireBuildah();
    const out = resolve(values.out);
    withWorkFolder((work) => buildArchive(work, kind, out, values.tag ?? kind.defaultTag));
    return 0;
  }
  if (values.root !== undefined && values.out === undefined && values.tag === undefined) {
    const root = emptyFolder(resolve(values.root));
    withWorkFolder((work) => buildRoot(work, kind, root, commitOf().timeSeconds));
    return 0;
  }
  throw new BuildError(`give --out, the path of the archive to write, or --root, a folder, but not both\n\n${usage}`);
}

function kindOf(name: string): ImageKind {
  const found = imageNames.find((one) => one === name);
  if (found === undefined) throw new BuildError(`--image: '${name}' is not ${imageNames.join(' or ')}`);
  return imageKinds[found];
}

function withWorkFolder(build: (work: string) => void): void {
  const work = mkdtempSync(join(tmpdir(), 'onnx-image-'));
  try {
    build(work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function emptyFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  if (readdirSync(path).length > 0) throw new BuildError(`--root: ${path} is not empty`);
  return path;
}

function buildRoot(work: string, kind: ImageKind, root: string, timestampSeconds: number): void {
  for (const line of makeRoot({ kind, repository, root, work, timestampSeconds })) console.log(line);
}

function buildArchive(work: string, kind: ImageKind, out: string, tag: string): void {
  const root = join(work, 'root');
  mkdirSync(root);
  const commit = commitOf();
  buildRoot(work, kind, root, commit.timeSeconds);
  mkdirSync(dirname(out), { recursive: true });
  rmSync(out, { force: true });
  writeOciArchive(root, out, imageConfig(kind, tag, commit));
  const bill = `${out.replace(/\.tar$/, '')}.cdx.json`;
  copyFileSync(join(root, billFile), bill);
  console.log(`bill      ${bill}`);
  console.log(`image     ${tag} in ${out}, ${mebibytes(statSync(out).size)}`);
  console.log(`digest    ${digestOf(out)}`);
}

type Commit = { readonly id: string; readonly timeSeconds: number };

function imageConfig(kind: ImageKind, tag: string, commit: Commit): ImageConfig {
  return {
    tag,
    entrypoint: kind.entrypoint,
    user: `${userId}:${userId}`,
    env: kind.env,
    labels: {
      ...kind.labels,
      'org.opencontainers.image.version': versionOf(repository),
      'org.opencontainers.image.revision': commit.id,
    },
    timestampSeconds: commit.timeSeconds,
  };
}

/**
 * The commit that is checked out. In a source archive without a history, the id is `unknown` and the time is 0.
 * @throws BuildError when SOURCE_DATE_EPOCH is not a number of seconds
 */
function commitOf(): Commit {
  const { id, timeSeconds } = checkedOut();
  const given = process.env['SOURCE_DATE_EPOCH'];
  if (given === undefined) return { id, timeSeconds };
  if (!/^\d{1,10}$/.test(given)) throw new BuildError(`SOURCE_DATE_EPOCH: '${given}' is not a number of seconds`);
  return { id, timeSeconds: Number(given) };
}

function checkedOut(): Commit {
  if (!existsSync(join(repository, '.git'))) return { id: 'unknown', timeSeconds: 0 };
  try {
    const options = { cwd: repository };
    const [id = 'unknown', time = '0'] = runProgram('git', ['log', '-1', '--format=%H %ct'], options).split(' ');
    // Mark the id when the tree has uncommitted changes: the commit alone does not describe such an image.
    const changed = runProgram('git', ['status', '--porcelain'], options) !== '';
    return { id: changed ? `${id}-modified` : id, timeSeconds: Number(time) };
  } catch {
    return { id: 'unknown', timeSeconds: 0 };
  }
}

try {
  process.exitCode = main();
} catch (error) {
  if (!(error instanceof BuildError || (error instanceof AppError && error.code === 'BAD_FLAG'))) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 2;
}
