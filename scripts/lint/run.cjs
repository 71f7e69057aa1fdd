/**
 * Runs oxlint over the sources, and installs it on first use. Without arguments it then checks all files with Prettier.
 * Owns: where the linter is installed (beside this file) and its pinned version (package.json here).
 * Plain JavaScript, because it must run under any version of Node.
 */
'use strict';
const { spawnSync } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const { join } = require('node:path');

const home = __dirname;
const root = join(home, '..', '..');
const wanted = require('./package.json').dependencies;

function installed(name) {
  const file = join(home, 'node_modules', name, 'package.json');
  return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === wanted[name];
}

if (!Object.keys(wanted).every(installed)) {
  const install = spawnSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--prefix', home], {
    stdio: 'inherit',
    cwd: home,
  });
  if (install.status !== 0) process.exit(install.status ?? 1);
}
const args = process.argv.slice(2);
const oxlint = spawnSync(
  join(home, 'node_modules', '.bin', 'oxlint'),
  ['--type-aware', '-c', join(root, '.oxlintrc.json'), ...(args.length > 0 ? args : ['.'])],
  {
    stdio: 'inherit',
    cwd: root,
    env: {
      ...process.env,
      OXLINT_TSGOLINT_PATH: join(home, 'node_modules', '.bin', 'tsgolint'),
      PATH: `${join(home, 'node_modules', '.bin')}:${process.env.PATH}`,
    },
  },
);
if (args.length > 0) process.exit(oxlint.status ?? 1);

const prettier = spawnSync(
  process.execPath,
  [join(root, 'node_modules', 'prettier', 'bin', 'prettier.cjs'), '--check', '--log-level', 'warn', '.'],
  { stdio: 'inherit', cwd: root },
);
if (prettier.status !== 0) process.stderr.write('error: files are not formatted: run `npm run format`\n');
process.exit((oxlint.status === 0 ? prettier.status : oxlint.status) ?? 1);
