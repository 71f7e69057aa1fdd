/**
 * Probes a container once: by HTTP, by opening a connection, or by running a command.
 * Owns: when a probe succeeds, as in the kubelet: a status of 200 to 399, a connection, an exit code of 0.
 * Limits: an answer's body is discarded; a redirect counts as success and is not followed.
 */
import { execFile } from 'node:child_process';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { portNumber, type Container, type Probe } from './pod.ts';

export type ProbeAnswer = { readonly passed: true } | { readonly passed: false; readonly why: string };

export type ProbeTarget = {
  readonly container: Container;
  readonly podIp: string;
  /** The environment and the folder in which commands of probes run. */
  readonly exec: {
    readonly env: Readonly<Record<string, string>>;
    readonly cwd: string;
    readonly rewrite: (word: string) => string;
  };
};

/** Runs a probe once. Never rejects: every error is a failed probe. */
export async function askContainer(probe: Probe, target: ProbeTarget, timeoutMs: number): Promise<ProbeAnswer> {
  if (probe.httpGet !== undefined) return askHttp(probe.httpGet, target, timeoutMs);
  if (probe.tcpSocket !== undefined) return askTcp(probe.tcpSocket, target, timeoutMs);
  if (probe.exec !== undefined) return askCommand(probe.exec.command ?? [], target, timeoutMs);
  return { passed: false, why: 'this kind of probe is not supported in local mode' };
}

function askHttp(
  ask: NonNullable<Probe['httpGet']>,
  { container, podIp }: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const port = portNumber([container], ask.port);
  if (port === undefined) return Promise.resolve({ passed: false, why: `couldn't find port: ${ask.port}` });
  const secure = ask.scheme === 'HTTPS';
  const host = ask.host ?? podIp;
  const path = ask.path ?? '/';
  const url = `${secure ? 'https' : 'http'}://${host}:${port}${path}`;
  const headers = {
    'user-agent': 'kube-probe/1.35',
    accept: '*/*',
    connection: 'close',
    ...Object.fromEntries((ask.httpHeaders ?? []).map(({ name, value }) => [name, value])),
  };
  return new Promise((resolve) => {
    // Do not verify certificates, as in the real kubelet.
    const request = (secure ? httpsGet : httpGet)(
      { host, port, path, headers, agent: false, ...(secure ? { rejectUnauthorized: false } : {}) },
      (response) => {
        const { statusCode: status = 0 } = response;
        clearTimeout(timer);
        response.destroy();
        resolve(
          status >= 200 && status < 400
            ? { passed: true }
            : { passed: false, why: `HTTP probe failed with statuscode: ${status}` },
        );
      },
    );
    const timer = setTimeout(
      () => request.destroy(new Error('context deadline exceeded (Client.Timeout exceeded while awaiting headers)')),
      timeoutMs,
    );
    request.once('error', (error) => {
      clearTimeout(timer);
      resolve({ passed: false, why: `Get "${url}": ${error.message}` });
    });
  });
}

function askTcp(
  ask: NonNullable<Probe['tcpSocket']>,
  { container, podIp }: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const port = portNumber([container], ask.port);
  if (port === undefined) return Promise.resolve({ passed: false, why: `couldn't find port: ${ask.port}` });
  return new Promise((resolve) => {
    const socket = connect({ host: ask.host ?? podIp, port, timeout: timeoutMs });
    const settle = (answer: ProbeAnswer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle({ passed: true }));
    socket.once('timeout', () => settle({ passed: false, why: `dial tcp ${podIp}:${port}: i/o timeout` }));
    socket.once('error', (error) => settle({ passed: false, why: `dial tcp ${podIp}:${port}: ${error.message}` }));
  });
}

function askCommand(command: readonly string[], { exec }: ProbeTarget, timeoutMs: number): Promise<ProbeAnswer> {
  const [program = '', ...args] = command.map(exec.rewrite);
  return new Promise((resolve) => {
    const options = {
      cwd: exec.cwd,
      env: { ...exec.env },
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: 64 * 1024,
    } as const;
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ passed: true });
      resolve({
        passed: false,
        why:
          error.killed === true
            ? `command timed out after ${timeoutMs} ms`
            : (stdout + stderr).trim().slice(0, 1024) || error.message,
      });
    });
  });
}
