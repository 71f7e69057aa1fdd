/**
 * `npm run fuzz`: sends seeded valid, invalid and broken requests to real model servers, and checks every answer.
 * Owns: the flags and the closing line.
 * Ends: with `N passed, N failed` alone on the last line; 0 when nothing failed, 1 when something failed, 2 for a wrong
 * flag.
 */
import '../node-guard.cjs';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { messageOf } from '../../api/errors.ts';
import { targets, type Target } from './cases.ts';
import { fuzz, type RunOptions, type Summary } from './run.ts';
import { Servers } from './servers.ts';

const usage = `usage: npm run fuzz -- [options]

Starts model servers with small models in a process of its own and sends them requests: HTTP in whole and in broken \
pieces,
JSON, binary tensors, embeddings. What must come back is known from arithmetic and a second reading of the protocol. \
A fault
is a wrong answer, status 500, a missing answer, a failed liveness probe, a dead process, or too much memory.

  --seed N         seed of the random numbers (default: 1); the same seed makes the same requests
  --requests N     ends after that many (default: 20000)
  --seconds N      ends after that time (default: 600)
  --target NAME    ${targets.join(', ')} or all (default: all)
  --lanes N        connections to each server at a time (default: 16)
  --memory N       MiB that the servers may take (default: 1536)
  --only N         replays one case, twice
`;

const flags = {
  seed: { type: 'string', default: '1' },
  requests: { type: 'string', default: '20000' },
  seconds: { type: 'string', default: '600' },
  target: { type: 'string', default: 'all' },
  lanes: { type: 'string', default: '16' },
  memory: { type: 'string', default: '1536' },
  only: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

class WrongFlag extends Error {}

function numberOf(flag: string, text: string, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > most)
    throw new WrongFlag(`${flag}: '${text}' is not a whole number from 0 to ${most}`);
  return value;
}

function targetsOf(text: string): readonly Target[] {
  if (text === 'all') return targets;
  const found = targets.find((target) => target === text);
  if (found === undefined) throw new WrongFlag(`--target: '${text}' is not ${targets.join(', ')} or all`);
  return [found];
}

function optionsOf(argv: readonly string[]): RunOptions | 'help' {
  const values = parseOnlyFlags('fuzz', argv, flags);
  if (values.help) return 'help';
  return {
    seed: numberOf('--seed', values.seed, 2 ** 32 - 1),
    requests: numberOf('--requests', values.requests, 1e9),
    seconds: numberOf('--seconds', values.seconds, 86_400),
    targets: targetsOf(values.target),
    lanes: Math.max(1, numberOf('--lanes', values.lanes, 256)),
    memoryMib: numberOf('--memory', values.memory, 2 ** 20),
    ...(values.only === undefined ? {} : { only: numberOf('--only', values.only, 1e9) }),
    tell: (line) => process.stdout.write(`${line}\n`),
  };
}

function close(summary: Summary): number {
  const { requests, seconds, statuses, kinds, probes, slowestProbeMs, peakMib, faults } = summary;
  const sorted = <K extends string | number>(counts: ReadonlyMap<K, number>): string =>
    [...counts]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, count]) => `${key}: ${count}`)
      .join(', ');
  console.log(`cases     ${sorted(kinds)}`);
  console.log(`statuses  ${sorted(statuses)}`);
  console.log(
    `${requests} requests in ${Math.round(seconds)} s (${Math.round(requests / seconds)} a second), ${probes} ` +
      `liveness probes (the slowest ${slowestProbeMs} ms), peak memory ${peakMib} MiB`,
  );
  console.log(`${Math.max(0, requests - faults.length)} passed, ${faults.length} failed`);
  return faults.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const options = optionsOf(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(usage);
    return 0;
  }
  console.log(`seed ${options.seed}, targets ${options.targets.join(', ')}`);
  const servers = await Servers.start();
  try {
    return close(await fuzz(servers, options));
  } finally {
    await servers.stop();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  process.exitCode = 2;
}
