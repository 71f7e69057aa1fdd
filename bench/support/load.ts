/**
 * Puts load on a server and measures its answers.
 * Owns: closed-loop clients and a prober. A client sends its next request when the previous answer has arrived. The
 * prober requests /v2/health/live at a fixed interval, even while an earlier probe has no answer yet.
 */
import { Agent, request as send } from 'node:http';

export type Target = { readonly port: number };
export type Shot = {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

/** An infer request of `rows` rows of `width` float32 numbers, as a JSON header and binary data. */
export function binaryShot(width: number, rows = 1): Shot {
  const data = new Uint8Array(new Float32Array(rows * width).fill(0.5).buffer);
  const json = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'x', shape: [rows, width], datatype: 'FP32', parameters: { binary_data_size: data.length } }],
      outputs: [{ name: 'y', parameters: { binary_data: true } }],
    }),
  );
  return {
    path: '/v2/models/m/infer',
    headers: { 'inference-header-content-length': String(json.length) },
    body: Buffer.concat([json, data]),
  };
}

/** An infer request of `rows` rows of `width` numbers, as JSON only. */
export function jsonShot(width: number, rows = 1): Shot {
  const data = Array.from({ length: rows * width }, (_, index) => Number((index / 7).toFixed(4)));
  return {
    path: '/v2/models/m/infer',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify({ inputs: [{ name: 'x', shape: [rows, width], datatype: 'FP32', data }] })),
  };
}

export type LoadResult = {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
  readonly failed: number;
};

/** Runs `clients` closed loops for `ms` milliseconds. */
export async function load(
  target: Target,
  shot: Shot,
  { clients, ms }: { readonly clients: number; readonly ms: number },
): Promise<LoadResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const latenciesMs: number[] = [];
  let failed = 0;
  const began = performance.now();
  const loop = async (): Promise<void> => {
    while (performance.now() - began < ms) {
      const at = performance.now();
      const status = await post(target, shot, agent);
      if (status === 200) latenciesMs.push(performance.now() - at);
      else failed += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, loop));
  agent.destroy();
  return { perSecond: latenciesMs.length / ((performance.now() - began) / 1000), latenciesMs, failed };
}

/** Sends a request. @returns the HTTP status; 0 when the request failed */
export function post(target: Target, shot: Shot, agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    const request = send(
      {
        host: '127.0.0.1',
        port: target.port,
        method: 'POST',
        path: shot.path,
        headers: { ...shot.headers, 'content-length': shot.body.length },
        agent,
      },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
        response.on('error', () => resolve(0));
      },
    );
    request.on('error', () => resolve(0));
    request.end(shot.body);
  });
}

/**
 * Sends a GET request for the health every `everyMs` milliseconds until stopped. Each request uses a new connection, as
 * a kubelet does.
 * @param path the path of the server's health check
 */
export function probe(
  target: Target,
  everyMs: number,
  path = '/v2/health/live',
): { readonly stop: () => Promise<readonly number[]> } {
  const latenciesMs: number[] = [];
  const waiting = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const at = performance.now();
    const done = new Promise<void>((resolve) => {
      send({ host: '127.0.0.1', port: target.port, path, agent: false }, (response) => {
        response.resume();
        response.on('end', () => {
          latenciesMs.push(performance.now() - at);
          resolve();
        });
      })
        .on('error', () => resolve())
        .end();
    });
    waiting.add(done);
    void done.then(() => waiting.delete(done));
  }, everyMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(waiting);
      return latenciesMs;
    },
  };
}

/** The `q` quantile of the values; NaN for an empty list. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] ?? NaN;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}
