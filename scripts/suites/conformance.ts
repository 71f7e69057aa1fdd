/**
 * `npm run test:conformance`: checks on a real API server the behaviour that the operator relies on.
 * Owns: the choice of the server. It is the server in KUBECONFIG. Without KUBECONFIG, etcd and kube-apiserver are
 * started from the folder in KUBEBUILDER_ASSETS and ended afterwards, as envtest does. When neither variable is set,
 * the suite reports that it is skipped.
 * Ends: 0 when every test passed or all were skipped, 1 when one failed, 2 when the set-up is wrong.
 */
import '../node-guard.cjs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { messageOf } from '../../api/errors.ts';
import { RealApiServer } from '../../test/support/real-api-server.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
/**
 * The timeout of a test. It is long because a real cluster takes time for garbage collection and for the end of a
 * namespace.
 */
const testTimeoutMs = 120_000;

const usage = `usage: npm run test:conformance -- [--grep PATTERN]

Checks on a real Kubernetes API server what the operator relies on. npm test checks the same on local mode's server.

  --grep PATTERN       tests whose names match

  KUBECONFIG           a cluster to test; a namespace and two definitions are made there and removed, and the Gateway \
API's
                       HTTPRoute and Gateway where it lacks them
  KUBEBUILDER_ASSETS   folder with etcd and kube-apiserver: they are started and ended here; with it also the operator's
                       client is tested while they are killed and restarted
`;

async function main(): Promise<number> {
  const values = parseOnlyFlags('conformance', process.argv.slice(2), {
    grep: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const { KUBECONFIG: kubeconfig = '', KUBEBUILDER_ASSETS: assets = '' } = process.env;
  if (kubeconfig === '' && assets === '') {
    console.log('conformance on a real API server: skipped, neither KUBECONFIG nor KUBEBUILDER_ASSETS is set');
    return 0;
  }
  const problem = problemOf(kubeconfig, assets);
  if (problem !== undefined) {
    process.stderr.write(`error: ${problem}\n`);
    return 2;
  }
  const faults = assets === '' ? [] : ['test/integration-real/**/*.test.ts'];
  if (kubeconfig !== '') return ask(kubeconfig, faults, values.grep);
  const server = await RealApiServer.start(assets);
  try {
    return await ask(server.kubeconfig, faults, values.grep);
  } finally {
    await server.stop();
  }
}

function problemOf(kubeconfig: string, assets: string): string | undefined {
  if (kubeconfig !== '' && !existsSync(kubeconfig)) return `KUBECONFIG: the file ${kubeconfig} does not exist`;
  const missing = assets === '' ? [] : ['etcd', 'kube-apiserver'].filter((name) => !existsSync(join(assets, name)));
  return missing.length === 0 ? undefined : `KUBEBUILDER_ASSETS: ${assets} lacks ${missing.join(' and ')}`;
}

async function ask(kubeconfig: string, more: readonly string[], grep: string | undefined): Promise<number> {
  const flags = [
    '--no-config',
    '--reporter',
    './test/support/reporter.cjs',
    '--timeout',
    String(testTimeoutMs),
    '--exit',
  ];
  const filter = grep === undefined ? [] : ['--grep', grep];
  const mocha = spawn(
    process.execPath,
    ['node_modules/mocha/bin/mocha.js', ...flags, ...filter, 'test/conformance-real/**/*.test.ts', ...more],
    {
      cwd: repository,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, KUBECONFIG: kubeconfig },
    },
  );
  const forward = (signal: NodeJS.Signals): void => void mocha.kill(signal);
  process.on('SIGTERM', forward).on('SIGINT', forward);
  const [code] = (await once(mocha, 'exit')) as [number | null];
  process.off('SIGTERM', forward).off('SIGINT', forward);
  return code === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`error: ${messageOf(error)}\n`);
  process.exitCode = 2;
}
