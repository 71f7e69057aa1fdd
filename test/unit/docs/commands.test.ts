/**
 * Commands in documents and help texts exist, and go through scripts/node-guard.cjs, which prints a message under a
 * Node version that is too old.
 */
import assert from 'node:assert/strict';
import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import packageJson from '../../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '..', '..', '..');
const scripts: Readonly<Record<string, string>> = packageJson.scripts;
const text = (path: string): string => readFileSync(join(root, path), 'utf8');
// Leave out docs/decisions/. Its documents are not edited later, so they may mention commands that no longer exist.
const documents = globSync(
  [
    '*.md',
    'docs/*.md',
    'docs/gitops/*',
    'examples/**/*.{md,yaml}',
    '{api,bench,cli,examples,lib,local,operator,runtime,scripts}/**/*.ts',
  ],
  { cwd: root },
);
const guarded = '-r ./scripts/node-guard.cjs';
const typescriptScripts = Object.entries(scripts).filter(([, command]) => /\.ts\b/.test(command));

describe('the commands that documents show', () => {
  it('are scripts of package.json where they begin with npm run', () => {
    const asked = documents.flatMap((file) =>
      [...text(file).matchAll(/npm run (?:-s )?([a-z][a-z0-9:-]*[a-z0-9])/g)].map(([, name = '']) => ({ file, name })),
    );
    assert.ok(asked.length > 40);
    assert.deepEqual(
      asked.filter(({ name }) => !Object.hasOwn(scripts, name)),
      [],
    );
  });

  it('never start a .ts file with node directly: an older Node prints a stack trace before the guard runs', () => {
    const found = documents.flatMap((file) =>
      [...text(file).matchAll(/\bnode (?!-r)[\w./-]+\.ts\b.*/g)].map(([line]) => `${file}: ${line}`),
    );
    assert.deepEqual(found, [], 'add a script to package.json and write "npm run NAME -- …"');
  });

  for (const [name, command] of typescriptScripts) {
    it(`npm run ${name} runs the guard first, and its file exists`, () => {
      const [, entry = ''] = /([\w./-]+\.ts)\b/.exec(command) ?? [];
      assert.ok(existsSync(join(root, entry)), entry);
      assert.ok(
        new RegExp(`^(exec )?node ${guarded} ${entry}`).test(command),
        `"${name}" must begin with "node ${guarded}", so that an old Node is refused in a sentence: ${command}`,
      );
    });
  }

  describe('kubectl-onnx on the PATH', () => {
    const ask = (path: string): SpawnSyncReturns<string> =>
      spawnSync(path, ['--help'], { cwd: tmpdir(), encoding: 'utf8', env: { PATH: '/usr/local/bin:/usr/bin:/bin' } });
    it("runs with the project's Node from any folder, also through a symbolic link", () => {
      const folder = mkdtempSync(join(tmpdir(), 'kubectl-onnx-'));
      try {
        symlinkSync(join(root, 'cli', 'kubectl-onnx'), join(folder, 'kubectl-onnx'));
        const { status, stdout, stderr } = ask(join(folder, 'kubectl-onnx'));
        assert.equal(status, 0, stderr);
        assert.match(stdout, /^Usage: kubectl-onnx COMMAND/);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  });

  const sentence = /^onnx-operator needs Node >= 26, this is 20 \(.*\)\.\nIt comes with the project/;

  it('are refused by the guard with a message under Node 20', () => {
    const program =
      "Object.defineProperty(process.versions, 'node', { value: '20.1.0' }); require('./scripts/node-guard.cjs')";
    const { status, stderr }: SpawnSyncReturns<string> = spawnSync(process.execPath, ['-e', program], {
      cwd: root,
      encoding: 'utf8',
    });
    assert.equal(status, 2);
    assert.match(stderr, sentence);
  });

  it('are refused under a real Node 20, if one is on the PATH', function () {
    const folders: readonly string[] = (process.env['PATH'] ?? '')
      .split(delimiter)
      .filter((folder) => !folder.includes('node_modules') && existsSync(join(folder, 'node')));
    const old: string | undefined = folders
      .map((folder) => join(folder, 'node'))
      .find((node) => spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.startsWith('v20.'));
    if (old === undefined) return this.skip();
    for (const [name, command] of typescriptScripts) {
      const args = command.replace(/^(exec )?node /, '').split(' ');
      const ended: SpawnSyncReturns<string> = spawnSync(old, args, { cwd: root, encoding: 'utf8' });
      assert.equal(ended.status, 2, name);
      assert.match(ended.stderr, sentence, name);
      assert.equal(ended.stderr.includes('    at '), false, `${name}: a stack trace`);
    }
  });
});
