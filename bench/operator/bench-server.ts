/**
 * The API server of a run: etcd and kube-apiserver from a folder, or the API server of local mode.
 * Owns: starting and ending the processes of the API server, and the kubeconfig for the bench itself. The operator gets
 * another kubeconfig, which names the counting proxy as its server.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RealApiServer } from '../../test/support/real-api-server.ts';
import type { ProxyTarget } from './counting-proxy.ts';

export type ServerKind = 'local' | 'real';

export interface BenchServer {
  readonly kind: ServerKind;
  readonly target: ProxyTarget;
  /** Path of the kubeconfig file. */
  readonly kubeconfig: string;
  /** The processes whose CPU time counts as the API server's CPU time. */
  readonly pids: readonly number[];
  close(): Promise<void>;
}

/**
 * Starts the API server.
 * @param assets folder with etcd and kube-apiserver; undefined for the API server of local mode
 * @param folder where the kubeconfig of local mode's API server is written
 */
export async function startBenchServer(assets: string | undefined, folder: string): Promise<BenchServer> {
  return assets === undefined ? await startLocal(folder) : await startReal(assets);
}

/** A kubeconfig as JSON. @param token undefined when the counting proxy adds the credentials */
export function kubeconfigText(server: string, token?: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bench',
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    clusters: [{ name: 'bench', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'bench', user: token === undefined ? {} : { token } }],
  });
}

async function startReal(assets: string): Promise<BenchServer> {
  const server = await RealApiServer.start(assets);
  const config = JSON.parse(readFileSync(server.kubeconfig, 'utf8')) as {
    readonly users: readonly { readonly user: { readonly token: string } }[];
  };
  return {
    kind: 'real',
    target: { server: `https://127.0.0.1:${server.port}`, token: config.users[0]?.user.token ?? '' },
    kubeconfig: server.kubeconfig,
    pids: server.pids,
    close: () => server.stop(),
  };
}

async function startLocal(folder: string): Promise<BenchServer> {
  const program = fileURLToPath(new URL('local-server.ts', import.meta.url));
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const exited = once(child, 'exit');
  const [line] = (await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data'),
    exited.then(() => [undefined]),
  ])) as [string | undefined];
  if (line === undefined) throw new Error('the local API server ended before it listened');
  const target = JSON.parse(line) as ProxyTarget;
  const kubeconfig = join(folder, 'bench.kubeconfig');
  writeFileSync(kubeconfig, kubeconfigText(target.server, target.token));
  return {
    kind: 'local',
    target,
    kubeconfig,
    pids: child.pid === undefined ? [] : [child.pid],
    close: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
