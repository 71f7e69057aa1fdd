/**
 * Checks that folders import only what docs/architecture.md allows, and that pure folders do not use clocks, random
 * numbers, the environment or IO.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { importsOf, withoutComments } from '../support/imports.ts';

const root = join(import.meta.dirname, '..', '..');

/** Folders that may be imported by every folder below kube/, operator/, runtime/, local/ and cli/. */
const anywhere = ['lib', 'api'];
/**
 * The folders of kube/ that connect to an API server. kube/schema only validates objects, so it is not in this list.
 */
const kube = ['kube', 'kube/client', 'kube/cache', 'kube/controller', 'kube/events'];
const pureOperator = ['operator/rollout', 'operator/analysis', 'operator/resources'];
// prettier-ignore
const runtimeFolders = [
  'onnx', 'config', 'engine', 'batching', 'call', 'protocol', 'golden', 'quality', 'sampling', 'tasks', 'prepare',
  'transport', 'sidecar', 'serve',
].map((folder) => `runtime/${folder}`);

/**
 * For each folder, the other folders that it may import. A folder may always import itself and packages. If a path
 * matches several listed folders, the file belongs to the one with the longest name.
 */
// prettier-ignore
const mayImport: Readonly<Record<string, readonly string[]>> = {
  api: [],
  lib: ['api'],
  'kube/schema': anywhere,
  'kube/client': anywhere,
  'kube/cache': [...anywhere, 'kube/client'],
  'kube/events': [...anywhere, 'kube/client'],
  'kube/controller': [...anywhere, 'kube/client', 'kube/events'],
  kube: [...anywhere, 'kube/client'],
  'operator/rollout': ['api'],
  'operator/analysis': ['api', 'operator/rollout'],
  'operator/resources': ['api', 'operator/rollout'],
  'operator/reports': anywhere,
  'operator/traffic': [...anywhere, ...kube, ...pureOperator],
  'operator/see': [...anywhere, ...kube, ...pureOperator, 'operator/traffic'],
  'operator/golden': [...anywhere, ...kube, ...pureOperator, 'operator/see'],
  'operator/gates': [...anywhere, ...kube, ...pureOperator, 'operator/see', 'operator/golden'],
  'operator/reconcile': [...anywhere, ...kube, ...pureOperator, 'operator/see', 'operator/golden', 'operator/gates',
    'operator/traffic', 'operator/reports'],
  operator: [...anywhere, ...kube, 'operator/see', 'operator/gates', 'operator/reconcile', 'operator/reports'],
  'runtime/onnx': ['api'],
  'runtime/config': anywhere,
  'runtime/engine': [...anywhere, 'runtime/onnx'],
  'runtime/batching': [...anywhere, 'runtime/engine'],
  'runtime/call': [...anywhere, 'runtime/batching'],
  'runtime/protocol': [...anywhere, 'runtime/batching', 'runtime/call', 'runtime/engine'],
  'runtime/golden': [...anywhere, 'runtime/engine', 'runtime/protocol'],
  'runtime/quality': [...anywhere, 'runtime/engine'],
  'runtime/sampling': [...anywhere, 'runtime/call'],
  'runtime/tasks': [...anywhere, 'runtime/batching', 'runtime/call', 'runtime/engine', 'runtime/golden',
    'runtime/protocol'],
  'runtime/prepare': [...anywhere, 'runtime/config', 'runtime/engine', 'runtime/golden', 'runtime/onnx'],
  'runtime/transport': [...anywhere, 'runtime/batching', 'runtime/call', 'runtime/config', 'runtime/engine',
    'runtime/prepare', 'runtime/protocol', 'runtime/sampling', 'runtime/tasks'],
  'runtime/sidecar': [...anywhere, 'runtime/config', 'runtime/engine', 'runtime/golden', 'runtime/prepare',
    'runtime/protocol', 'runtime/quality', 'runtime/sampling', 'runtime/tasks'],
  'runtime/serve': [...anywhere, ...runtimeFolders.filter((home) => !['runtime/serve', 'runtime/sidecar'].includes(home))],
  runtime: [...anywhere, ...runtimeFolders],
  local: [...anywhere, 'kube', 'kube/schema'],
  'cli/cluster': [...anywhere, 'kube', 'kube/client', 'kube/cache', 'operator/rollout'],
  'cli/text': [...anywhere, 'kube/client', 'cli/cluster', 'operator/rollout'],
  'cli/offline': [...anywhere, 'cli/text', 'kube/schema', 'operator/rollout', 'operator/analysis'],
  'cli/commands': [...anywhere, 'kube/client', 'cli/cluster', 'cli/text', 'cli/offline', 'operator/rollout'],
  cli: [...anywhere, 'cli/commands', 'cli/text'],
};

/**
 * Folders whose functions depend on their arguments only. They use no clock, random numbers, environment or IO, and
 * they do not wait.
 */
const pure = ['operator/rollout', 'operator/analysis', 'operator/resources', 'api'];
const worldly: Readonly<Record<string, RegExp>> = {
  'the clock': /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/,
  chance: /\bMath\.random\(|\bcrypto\./,
  'the process': /\bprocess\./,
  'the console': /\bconsole\./,
  timers: /\bset(?:Timeout|Interval|Immediate)\(/,
  waiting: /\bawait\b|\basync\b/,
};

/** Packages that only the given folders may import. */
const onlyIn: Readonly<Record<string, readonly string[]>> = {
  'onnxruntime-node': ['runtime/engine', 'runtime/prepare'],
  '@kubernetes/client-node': ['kube/client'],
  '@marcbachmann/cel-js': ['kube/schema'],
  '@bufbuild/protobuf': ['runtime/onnx'],
  '@peculiar/asn1-schema': ['local'],
  '@peculiar/asn1-x509': ['local'],
  canonicalize: ['lib'],
  koffi: ['runtime/engine'],
  ssri: ['runtime/prepare'],
  'tar-stream': ['runtime/prepare'],
};

function homeOf(path: string): string | undefined {
  return Object.keys(mayImport)
    .filter((home) => path.startsWith(`${home}/`))
    .sort((a, b) => b.length - a.length)[0];
}

/** One sentence for each violation in a file. */
function violations(path: string, source: string): readonly string[] {
  const home = homeOf(path);
  if (home === undefined) return [];
  const imports = importsOf(source);
  return [
    ...imports.flatMap((specifier) => wrongWay(path, home, specifier)),
    ...imports.flatMap((specifier) => wrongPlace(home, specifier)),
    ...impurities(home, source, imports),
  ];
}

function wrongWay(path: string, home: string, specifier: string): readonly string[] {
  if (!specifier.startsWith('.')) return [];
  const target = normalize(join(dirname(path), specifier));
  if (target === 'scripts/node-guard.cjs' || target === 'package.json') return [];
  const there = homeOf(target);
  if (there === home || (there !== undefined && mayImport[home]?.includes(there))) return [];
  return [`${home}/ may not import ${target}`];
}

function wrongPlace(home: string, specifier: string): readonly string[] {
  return Object.entries(onlyIn)
    .filter(
      ([name, places]) =>
        (specifier === name || specifier.startsWith(`${name}/`)) &&
        !places.some((place) => home === place || home.startsWith(`${place}/`)),
    )
    .map(([name, places]) => `only ${places.join(', ')} may import ${name}`);
}

function impurities(home: string, source: string, imports: readonly string[]): readonly string[] {
  if (!pure.includes(home)) return [];
  const code = withoutComments(source);
  const reached = Object.entries(worldly)
    .filter(([, pattern]) => pattern.test(code))
    .map(([what]) => `${home}/ is pure and reaches for ${what}`);
  return [
    ...reached,
    ...imports
      .filter((specifier) => specifier.startsWith('node:'))
      .map((specifier) => `${home}/ is pure and imports ${specifier}`),
  ];
}

function sourcesBelow(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => /\.(ts|cjs|mjs)$/.test(name));
}

describe('dependencies', () => {
  const roots = [...new Set(Object.keys(mayImport).map((home) => home.split('/')[0] ?? ''))];
  for (const folder of roots) {
    it(`${folder}/ imports only what it may`, () => {
      const found = sourcesBelow(folder).flatMap((path) =>
        violations(path, readFileSync(join(root, path), 'utf8')).map((what) => `${path}: ${what}`),
      );
      assert.deepEqual(found, []);
    });
  }

  // prettier-ignore
  const mustFail: readonly { readonly name: string; readonly path: string; readonly source: string }[] = [
    { name: 'api importing lib', path: 'api/x.ts', source: "import { x } from '../lib/clock.ts';" },
    { name: 'a side-effect import', path: 'lib/x.ts', source: "import '../operator/main.ts';" },
    { name: 'a dynamic import', path: 'runtime/x.ts', source: "const m = await import('../operator/main.ts');" },
    { name: 'a re-export', path: 'local/x.ts', source: "export { decide } from '../operator/rollout/decide.ts';" },
    { name: 'a type import the wrong way', path: 'operator/x.ts',
      source: "import type { Engine } from '../runtime/engine/port.ts';" },
    { name: 'a worker by URL', path: 'local/x.ts',
      source: "new Worker(new URL('../runtime/engine/worker.ts', import.meta.url));" },
    { name: 'require', path: 'lib/x.cjs', source: "const x = require('../operator/main.ts');" },
    { name: 'onnxruntime outside the engine', path: 'runtime/serve/x.ts',
      source: "import ort from 'onnxruntime-node';" },
    { name: 'client-node outside kube/client', path: 'operator/x.ts',
      source: "import { KubeConfig } from '@kubernetes/client-node';" },
    { name: 'client-node in the command line', path: 'cli/cluster/x.ts',
      source: "import { KubeConfig } from '@kubernetes/client-node';" },
    { name: 'an import over several lines', path: 'api/x.ts',
      source: "import {\n  a,\n  b,\n} from '../lib/clock.ts';" },
    { name: 'a builtin in a pure folder', path: 'operator/rollout/x.ts',
      source: "import { readFileSync } from 'node:fs';" },
    { name: 'the clock in a pure folder', path: 'operator/rollout/x.ts',
      source: 'export const now = () => Date.now();' },
    { name: 'chance in a pure folder', path: 'operator/analysis/x.ts',
      source: 'export const roll = () => Math.random();' },
    { name: 'a promise in a pure folder', path: 'operator/resources/x.ts', source: 'export async function f() {}' },
  ];
  for (const { name, path, source } of mustFail) {
    it(`would notice ${name}`, () => assert.notDeepEqual(violations(path, source), []));
  }

  it('ignores comments', () => {
    assert.deepEqual(violations('operator/rollout/x.ts', '/* Date.now() */\n// await\nexport const x = 1;'), []);
  });

  it('finds files to check', () => assert.ok(sourcesBelow('api').length > 5, relative(root, root)));
});

describe('the directions of folders', () => {
  it('have no cycle', () => {
    const below = new Map<string, number>();
    const levelOf = (home: string, way: readonly string[] = []): number => {
      assert.ok(!way.includes(home), `folders import each other in a circle: ${[...way, home].join(' -> ')}`);
      const known = below.get(home);
      if (known !== undefined) return known;
      const level = 1 + Math.max(0, ...(mayImport[home] ?? []).map((next) => levelOf(next, [...way, home])));
      below.set(home, level);
      return level;
    };
    for (const home of Object.keys(mayImport)) levelOf(home);
    assert.equal(below.size, Object.keys(mayImport).length);
  });
});

describe('headers', () => {
  it('stand at the top of every source file', () => {
    const folders = [
      'api',
      'lib',
      'operator',
      'runtime',
      'local',
      'cli',
      'examples',
      'scripts',
      'bench',
      'test/support',
    ];
    const bare = folders
      .flatMap(sourcesBelow)
      .filter((path) => !path.includes('node_modules') && !path.includes('onnx/proto/'))
      .filter((path) => !/^(#!.*\n)?\/\*\*/.test(readFileSync(join(root, path), 'utf8')));
    assert.deepEqual(bare, []);
  });
});
