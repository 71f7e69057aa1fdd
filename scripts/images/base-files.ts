/**
 * Copies the operating system into an image's root: a C library, the libraries of Node and ONNX Runtime, certificates,
 * time zones.
 * Owns: the list of Debian packages. The image has no shell and no package manager, so only these packages need
 * security updates.
 * Why: a base image would need access to a registry. Unpacking packages with dpkg -x only needs the package sources of
 * this machine.
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { userId } from './image-kinds.ts';
import { BuildError, isInstalled, runProgram } from './run-program.ts';

/** The Debian packages of the image. libatomic1 is needed because Node 26 links to it. */
export const debianPackages = ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1', 'ca-certificates', 'tzdata'] as const;

/** Files and folders that a model server never opens, such as manuals, translations and rare character sets. */
const unwanted = [
  'usr/lib/x86_64-linux-gnu/gconv',
  'usr/share/man',
  'usr/share/lintian',
  'usr/share/locale',
  'usr/sbin',
  'usr/share/gdb',
  'usr/share/gcc',
  'usr/share/zoneinfo/right',
];

/** A Debian package as it was unpacked. */
export type DebianPackage = {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** SHA-256 of the package's file, in hex. */
  readonly sha256: string;
};

/** @throws BuildError when Debian's tools or lists are missing */
export function installBase(root: string, work: string): readonly DebianPackage[] {
  for (const tool of ['apt-get', 'dpkg', 'dpkg-deb']) {
    if (!isInstalled(tool))
      throw new BuildError(
        `${tool} is not installed: the image's base is built from Debian packages, on Debian or a derived system`,
      );
  }
  const downloads = join(work, 'debian');
  mkdirSync(downloads);
  try {
    // Turn off apt's sandbox: its user cannot write into a temporary folder of this user.
    runProgram('apt-get', ['-o', 'APT::Sandbox::User=', 'download', '-qq', ...debianPackages], { cwd: downloads });
  } catch (error) {
    throw new BuildError(
      `the base packages could not be downloaded; apt-get update may help\n${(error as Error).message}`,
    );
  }
  const packages = readdirSync(downloads)
    .filter((file) => file.endsWith('.deb'))
    .sort();
  for (const file of packages) unpack(join(downloads, file), root);
  for (const path of unwanted) rmSync(join(root, path), { recursive: true, force: true });
  linkLibraries(root);
  writeSystemFiles(root);
  return packages.map((file) => describePackage(join(downloads, file)));
}

/** Unpacks a package and records it where scanners for vulnerabilities look for the packages of an image. */
function unpack(file: string, root: string): void {
  runProgram('dpkg', ['-x', file, root]);
  const records = join(root, 'var/lib/dpkg/status.d');
  mkdirSync(records, { recursive: true });
  writeFileSync(join(records, describePackage(file).name), `${runProgram('dpkg-deb', ['--field', file])}\n`);
}

function describePackage(file: string): DebianPackage {
  const format = '--showformat=${Package}\t${Version}\t${Architecture}';
  const [name = '', version = '', architecture = ''] = runProgram('dpkg-deb', ['--show', format, file]).split('\t');
  return { name, version, architecture, sha256: createHash('sha256').update(readFileSync(file)).digest('hex') };
}

/**
 * Links /lib and /lib64 to /usr. Debian 13 has its libraries only in /usr, but every program names its dynamic loader
 * by a path in /lib64.
 */
function linkLibraries(root: string): void {
  for (const name of ['lib', 'lib64']) {
    if (!existsSync(join(root, name)) && existsSync(join(root, 'usr', name)))
      symlinkSync(`usr/${name}`, join(root, name));
  }
}

function writeSystemFiles(root: string): void {
  const etc = join(root, 'etc');
  mkdirSync(join(etc, 'ssl/certs'), { recursive: true });
  writeFileSync(
    join(etc, 'passwd'),
    `root:x:0:0:root:/:/sbin/nologin\nnobody:x:${userId}:${userId}:nobody:/:/sbin/nologin\n`,
  );
  writeFileSync(join(etc, 'group'), `root:x:0:\nnogroup:x:${userId}:\n`);
  // Scanners choose the list of known vulnerabilities by this file.
  writeFileSync(join(etc, 'os-release'), readFileSync('/etc/os-release'));
  writeFileSync(join(etc, 'nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n');
  // Write the file that update-ca-certificates would write. That program cannot run here.
  const folder = join(root, 'usr/share/ca-certificates/mozilla');
  const certificates = readdirSync(folder)
    .sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  writeFileSync(join(etc, 'ssl/certs/ca-certificates.crt'), `${certificates.join('\n')}\n`);
  const temporary = join(root, 'tmp');
  mkdirSync(temporary);
  chmodSync(temporary, 0o1777);
}
