/**
 * Which packages of node_modules an image needs: the packages that its program imports, and their dependencies.
 * Owns: following the imports of emitted JavaScript to packages, and the lock file from packages to their dependencies.
 * An image therefore contains only packages that it uses, and people do not have to maintain a list.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { parse } from 'es-module-lexer/js';
import { BuildError } from './run-program.ts';

type LockedPackage = {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  /** Names of platforms and of processors, as Node spells them; absent for a package for all of them. */
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
};
export type Lock = Readonly<Record<string, LockedPackage>>;

/**
 * Dependencies that Node never loads. adm-zip and global-agent are for the install script of onnxruntime-node, which is
 * not run here because it would download CUDA. tar-stream and its streams import bare-fs and bare-events only under
 * another runtime, Bare.
 */
const neverLoaded: ReadonlySet<string> = new Set(['adm-zip', 'global-agent', 'bare-fs', 'bare-events']);

/** The names of the packages that the JavaScript under `dir` imports, sorted. */
export function importedPackages(dir: string): readonly string[] {
  const found = new Set<string>();
  for (const file of readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.js')) continue;
    for (const specifier of specifiersIn(readFileSync(join(dir, file), 'utf8'))) {
      const name = packageOf(specifier);
      if (name !== undefined) found.add(name);
    }
  }
  return [...found].sort();
}

/**
 * Every specifier that a module imports: static, dynamic and side-effect imports. Strings and comments are ignored. An
 * import() of a computed specifier is not found.
 *
 * @param source JavaScript of a module, as the compiler emits it
 */
export function specifiersIn(source: string): readonly string[] {
  return parse(source)[0].flatMap(({ specifier }) => (typeof specifier === 'string' ? [specifier] : []));
}

/** The package that a specifier names. @returns undefined for a relative path or a module of Node */
function packageOf(specifier: string): string | undefined {
  if (
    specifier.startsWith('.') ||
    specifier.startsWith('/') ||
    specifier.startsWith('node:') ||
    builtinModules.includes(specifier)
  )
    return undefined;
  const [scope = '', name = ''] = specifier.split('/');
  return scope.startsWith('@') ? `${scope}/${name}` : scope;
}

/**
 * The folders of node_modules that the packages `names` and their dependencies need.
 *
 * @param lock `packages` of package-lock.json: folder → package
 * @returns folders such as `node_modules/express`, sorted
 * @throws BuildError when a package is not in the lock file
 */
export function closureOf(names: readonly string[], lock: Lock): readonly string[] {
  const folders = new Set<string>();
  const queue = names.map((name) => ({ name, from: '' }));
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const folder = nearest(next.name, next.from, lock);
    if (folder === undefined)
      throw new BuildError(`${next.name}, imported by ${next.from || 'the program'}, is not in package-lock.json`);
    if (folders.has(folder)) continue;
    folders.add(folder);
    for (const name of neededBy(folder, lock)) queue.push({ name, from: folder });
  }
  return [...folders].sort();
}

/**
 * The names of a package's dependencies. An optional dependency that is not in the lock file, or that is for another
 * platform than this one, is left out.
 */
function neededBy(folder: string, lock: Lock): readonly string[] {
  const { dependencies = {}, optionalDependencies = {} } = lock[folder] ?? {};
  const optional = Object.keys(optionalDependencies).filter((name) => {
    const found = nearest(name, folder, lock);
    return found !== undefined && isForHere(lock[found] ?? {});
  });
  return [...Object.keys(dependencies).filter((name) => !neverLoaded.has(name)), ...optional];
}

function isForHere({ os = [process.platform], cpu = [process.arch] }: LockedPackage): boolean {
  return os.includes(process.platform) && cpu.includes(process.arch);
}

/** Resolves a package as Node does: first next to the importer, then in each outer node_modules. */
function nearest(name: string, from: string, lock: Lock): string | undefined {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')))) {
    const folder = base === '' ? `node_modules/${name}` : `${base}/node_modules/${name}`;
    if (lock[folder] !== undefined) return folder;
    if (base === '') return undefined;
  }
}
