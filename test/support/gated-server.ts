/**
 * A model server whose engine waits until a test opens a gate, so that the test decides when a batch (the rows of
 * requests that run together) ends. Owns: the gate, and ending the servers that a failed test left running.
 */
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import type { NamedTensors } from '../../runtime/engine/tensor.ts';
import { FakeEngine } from './fake-engine.ts';
import { ask, inputOf, jsonOf, type Ask, type Seen } from './infer-client.ts';
import { endServers, startServer, type Given, type RunningServer } from './model-server.ts';
import { matmul } from './onnx-models.ts';

export const infer = '/v2/models/m/infer';
export const body = JSON.stringify({ inputs: [inputOf([1, 2, 3, 4])] });
const noWarmup = { warmup: { requests: 0, timeoutMs: 1000 } };

/** Answers two zeros per row; while the gate is closed, each batch waits. */
export class Gate {
  open = true;
  readonly #waiting: (() => void)[] = [];
  #arrived: () => void = () => {};
  readonly engine = new FakeEngine({
    model: ({ x }: NamedTensors) => ({
      y: { type: 'float32', dims: [x?.dims[0] ?? 0, 2], data: new Float32Array(2 * (x?.dims[0] ?? 0)) },
    }),
    gate: () => {
      this.#arrived();
      return this.open ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
    },
  });

  /** Resolves when the next batch waits at the gate. */
  arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }

  letGo(): void {
    this.open = true;
    for (const go of this.#waiting.splice(0)) go();
  }
}

const gates: Gate[] = [];

/** Ends servers that a failed test left running, because an open server would keep the test run from ending. */
export async function endAll(): Promise<void> {
  for (const gate of gates.splice(0)) gate.letGo();
  await endServers();
}

export async function gated(
  config: Partial<RuntimeConfig> = {},
  options: Given['options'] = {},
): Promise<{ gate: Gate; running: RunningServer; call: (request?: Ask) => Promise<Seen> }> {
  const gate = new Gate();
  gates.push(gate);
  const running = await startServer({
    model: matmul(),
    config: { ...noWarmup, ...config },
    options: { loadEngine: () => Promise.resolve(gate.engine), ...options },
  });
  gate.open = false;
  return { gate, running, call: (request = { body }) => ask(running.url, infer, request) };
}

/** Polls until the condition holds, for at most five seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 5000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('the condition did not become true');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export const depthOf = async (running: RunningServer): Promise<number> =>
  (jsonOf(await ask(running.debugUrl, '/counters')) as { queue: { depth: number } }).queue.depth;
