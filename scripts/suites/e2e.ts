/**
 * `npm run test:e2e`: the end-to-end stories, in local mode (a cluster in one process) and on the cluster in
 * KUBECONFIG, which are the two targets. A story is a test of one task of a user.
 * Owns: which targets this machine has, the message about a missing target, and the exit code. A missing target is
 * skipped with the reason; a target with a wrong set-up is an error.
 * Ends: 0 when every story passed, 1 when one failed, 2 when the set-up is wrong.
 */
import '../node-guard.cjs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CoreV1Api, KubeConfig, type V1Node } from '@kubernetes/client-node';
import { parseOnlyFlags } from '../../lib/flags.ts';
import { AppError, messageOf } from '../../api/errors.ts';
import { defaultTag } from '../images/default-tag.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const image = process.env['ONNX_E2E_IMAGE'] ?? defaultTag;
/**
 * The timeout of a story. Loading a model, a rollout and its settling take some seconds each, and a story contains
 * several of these steps.
 */
const storyTimeoutMs = 600_000;

const usage = `usage: npm run test:e2e -- [--only local|cluster] [--grep PATTERN]

Runs the end-to-end stories in local mode and, when KUBECONFIG names a cluster with nodes, there as well. On a \
cluster the
operator runs beside it, on this machine; its nodes have to see this machine's file system and have the runtime's image:
npm run image -- --out FILE.tar, then import FILE.tar on the nodes. Stories of exact weights run where a
GatewayClass is accepted, and skipped elsewhere.

  --only TARGET    one target alone
  --grep PATTERN   stories whose names match

  KUBECONFIG       the cluster
  ONNX_E2E_IMAGE   the runtime's image on its nodes (${defaultTag})
  ONNX_E2E_MODELS  folder that npm run models filled; without it the story of the sentence encoder is skipped
`;

type TargetName = 'local' | 'cluster';

async function main(): Promise<number> {
  const values = parseOnlyFlags('e2e', process.argv.slice(2), {
    only: { type: 'string' },
    grep: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (values.only !== undefined && values.only !== 'local' && values.only !== 'cluster')
    return complain(`--only: '${values.only}' is not local or cluster`);
  return tellAll(values.only, values.grep);
}

async function tellAll(only: TargetName | undefined, grep: string | undefined): Promise<number> {
  const passed: boolean[] = [];
  if (only !== 'cluster') passed.push(await tell('local', grep));
  if (only !== 'local') {
    const cluster = await lookForCluster();
    if (cluster.kind === 'broken') return complain(`real cluster: ${cluster.why}`);
    if (cluster.kind === 'absent') console.log(`real cluster: skipped, ${cluster.why}`);
    else passed.push(await tell('cluster', grep));
  }
  return passed.every(Boolean) ? 0 : 1;
}

/** Runs the stories on one target. @returns whether every story passed */
async function tell(target: TargetName, grep: string | undefined): Promise<boolean> {
  console.log(target === 'local' ? 'stories in local mode' : 'stories on a real cluster');
  const filter = grep === undefined ? [] : ['--grep', grep];
  const flags = [
    '--no-config',
    '--require',
    './test/e2e/hooks.ts',
    '--reporter',
    './test/support/reporter.cjs',
    '--timeout',
    String(storyTimeoutMs),
    '--exit',
  ];
  const mocha = spawn(
    process.execPath,
    ['node_modules/mocha/bin/mocha.js', ...flags, ...filter, 'test/e2e/**/*.test.ts'],
    {
      cwd: repository,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ONNX_E2E_TARGET: target, ONNX_E2E_IMAGE: image },
    },
  );
  const forward = (signal: NodeJS.Signals): void => void mocha.kill(signal);
  process.on('SIGTERM', forward).on('SIGINT', forward);
  const [code] = (await once(mocha, 'exit')) as [number | null];
  process.off('SIGTERM', forward).off('SIGINT', forward);
  return code === 0;
}

type Cluster =
  | { readonly kind: 'there' }
  | { readonly kind: 'absent'; readonly why: string }
  | { readonly kind: 'broken'; readonly why: string };

async function lookForCluster(): Promise<Cluster> {
  const file = process.env['KUBECONFIG'];
  if (file === undefined || file === '') return { kind: 'absent', why: 'KUBECONFIG is not set' };
  // Try for a while: a kubelet reports a newly imported image only in its next status update.
  for (let tries = 0; tries < 8; tries += 1) {
    const found = await lookAtNodes(file);
    if (found !== 'no image') return found;
    await sleep(5_000);
  }
  return { kind: 'broken', why: `no node has the image ${image}: build it with scripts/images/build.ts and import it` };
}

async function lookAtNodes(file: string): Promise<Cluster | 'no image'> {
  let nodes: readonly V1Node[];
  try {
    const config = new KubeConfig();
    config.loadFromFile(file);
    nodes = (await config.makeApiClient(CoreV1Api).listNode()).items;
  } catch (error) {
    return { kind: 'broken', why: `the cluster of ${file} cannot be used: ${messageOf(error)}` };
  }
  if (nodes.length === 0) return { kind: 'absent', why: `the cluster of ${file} has no node to run pods on` };
  // An image name without a registry cannot be pulled, so the image must already be on a node.
  const there =
    !image.startsWith('localhost/') ||
    nodes.some((node) => node.status?.images?.some((held) => held.names?.includes(image)));
  return there ? { kind: 'there' } : 'no image';
}

function complain(problem: string): number {
  process.stderr.write(`error: ${problem}\n`);
  return 2;
}

process.exitCode = await main().catch((error: unknown) => {
  if (error instanceof AppError && error.code === 'BAD_FLAG') return complain(error.message);
  throw error;
});
