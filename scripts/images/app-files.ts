/**
 * Copies the program into an image's root: emitted JavaScript, its packages, Node itself.
 * Owns: which parts of the repository are in /app. An image contains emitted JavaScript only. If a path to a `.ts` file
 * remains in this JavaScript, the build fails.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { closureOf, importedPackages, specifiersIn, type Lock } from './dependencies.ts';
import { BuildError, runProgram } from './run-program.ts';

export type AppOptions = {
  /** The root of the repository. */
  readonly repository: string;
  /** The compiler's configuration, a file in this folder. It decides which sources are compiled. */
  readonly tsconfig: string;
  /** Imported packages that are left out, with their dependencies. The program runs without them. */
  readonly packagesLeftOut: readonly string[];
  /** The folder that becomes `/` in the image. */
  readonly root: string;
};

/** Folders of packages that are left out: binaries for other platforms, and files for developers. */
const unwantedInPackages = ['bin/napi-v6/darwin', 'bin/napi-v6/win32', 'bin/napi-v6/linux/arm64', 'script'];

/** Copies the program. @returns the copied folders of node_modules, sorted @throws BuildError */
export function installApp({ repository, root, tsconfig, packagesLeftOut }: AppOptions): readonly string[] {
  const app = join(root, 'app');
  mkdirSync(app, { recursive: true });
  runProgram(process.execPath, [
    join(repository, 'node_modules/typescript/bin/tsc'),
    '-p',
    join(repository, 'scripts/images', tsconfig),
    '--outDir',
    app,
  ]);
  pointUrlsAtJavaScript(app);
  copyImportedFiles(repository, app);
  const { name, version } = readJson(join(repository, 'package.json')) as {
    readonly name: string;
    readonly version: string;
  };
  writeFileSync(
    join(app, 'package.json'),
    `${JSON.stringify({ name, version, private: true, type: 'module' }, null, 2)}\n`,
  );
  const lock = (readJson(join(repository, 'package-lock.json')) as { readonly packages: Lock }).packages;
  const imported = importedPackages(app).filter((name) => !packagesLeftOut.includes(name));
  const folders = closureOf(imported, lock);
  for (const folder of folders) installPackage(repository, app, folder);
  installNode(root);
  return folders;
}

/** Replaces `.ts` in the URLs of workers' files. The compiler rewrites imports, but not these URLs. */
function pointUrlsAtJavaScript(app: string): void {
  for (const file of javaScriptIn(app)) {
    const before = readFileSync(file, 'utf8');
    const after = before.replace(/(new URL\(\s*['"]\.{1,2}\/[^'"]+)\.ts(['"]\s*,\s*import\.meta\.url)/g, '$1.js$2');
    if (after !== before) writeFileSync(file, after);
    for (const [, path = ''] of after.matchAll(/new URL\(\s*['"](\.{1,2}\/[^'"]+\.js)['"]\s*,\s*import\.meta\.url/g)) {
      if (!existsSync(join(dirname(file), path)))
        throw new BuildError(`${relative(app, file)} starts ${path}, which was not compiled`);
    }
    const left = /['"`]\.{1,2}\/[^'"`]*\.ts['"`]/.exec(after);
    if (left !== null)
      throw new BuildError(
        `${relative(app, file)} still names the TypeScript file ${left[0]}: use new URL('./file.ts', import.meta.url)`,
      );
  }
}

/**
 * Copies JavaScript and JSON files of the repository that emitted files import. The compiler does not copy these files.
 */
function copyImportedFiles(repository: string, app: string): void {
  for (const file of javaScriptIn(app)) {
    for (const specifier of specifiersIn(readFileSync(file, 'utf8'))) {
      if (!specifier.startsWith('.')) continue;
      const target = join(dirname(file), specifier);
      if (existsSync(target)) continue;
      const source = join(repository, relative(app, target));
      if (!existsSync(source))
        throw new BuildError(`${relative(app, file)} imports ${specifier}, which is not in the repository`);
      mkdirSync(dirname(target), { recursive: true });
      cpSync(source, target);
    }
  }
}

function installPackage(repository: string, app: string, folder: string): void {
  const source = join(repository, folder);
  if (!existsSync(source)) throw new BuildError(`${folder} is not installed: npm ci`);
  const target = join(app, folder);
  // Leave out packages that are nested in this package: the list has a separate entry for each nested package that is
  // needed.
  cpSync(source, target, {
    recursive: true,
    dereference: true,
    filter: (path) => !relative(source, path).split('/').includes('node_modules'),
  });
  for (const path of unwantedInPackages) rmSync(join(target, path), { recursive: true, force: true });
  for (const path of readdirSync(target, { recursive: true, encoding: 'utf8' })) {
    if (/\.(d\.[cm]?ts|map|md|markdown)$/i.test(path) && !/licen[cs]e/i.test(path))
      rmSync(join(target, path), { force: true, recursive: true });
  }
}

/**
 * Copies the Node that runs this script. When npm started the script, this Node has the version that the lock file
 * pins.
 */
function installNode(root: string): void {
  const target = join(root, 'usr/local/bin/node');
  mkdirSync(dirname(target), { recursive: true });
  cpSync(process.execPath, target, { dereference: true });
}

function javaScriptIn(dir: string): readonly string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.js') && !file.includes('node_modules/'))
    .map((file) => join(dir, file));
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(file, 'utf8'));
}
