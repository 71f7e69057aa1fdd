/**
 * The fuzz run: lanes that send cases, a prober that runs at the same time, and the results. A lane sends one case
 * after the other.
 * Owns: the order of cases (each index is used once, by one of the lanes), the bounds of the run, and what counts as a
 * fault: a wrong answer, a missing answer, a dead process, a failed liveness probe, memory over its limit.
 * Limits: the run ends after the given number of requests or seconds, or at the 20th fault.
 */
import { Channel, type Result } from './channel.ts';
import { get, type Case, type Target } from './cases.ts';
import type { Servers } from './servers.ts';
import { Chance } from './chance.ts';
import { embeddingsCase } from './generate-embeddings.ts';
import { httpCase } from './generate-http.ts';
import { binaryCase, jsonCase } from './generate-tensors.ts';

export type RunOptions = {
  readonly seed: number;
  readonly requests: number;
  readonly seconds: number;
  readonly targets: readonly Target[];
  readonly lanes: number;
  /** The limit of the servers' resident memory, in MiB. */
  readonly memoryMib: number;
  /** The index of the only case to run; the case is run twice. */
  readonly only?: number;
  readonly tell: (line: string) => void;
};

export type Summary = {
  readonly requests: number;
  readonly faults: readonly string[];
  readonly probes: number;
  readonly slowestProbeMs: number;
  readonly peakMib: number;
  readonly seconds: number;
  readonly statuses: ReadonlyMap<number, number>;
  readonly kinds: ReadonlyMap<string, number>;
};

const host = '127.0.0.1';
const patienceMs = 20_000;
const probePatienceMs = 5_000;
const mostFaults = 20;

export async function fuzz(servers: Servers, options: RunOptions): Promise<Summary> {
  const run = new Run(servers, options);
  return run.go();
}

class Run {
  readonly #servers: Servers;
  readonly #options: RunOptions;
  readonly #beganMs = performance.now();
  readonly #faults: string[] = [];
  readonly #statuses = new Map<number, number>();
  readonly #kinds = new Map<string, number>();
  #next = 0;
  #requests = 0;
  #probes = 0;
  #slowestProbeMs = 0;
  #peakMib = 0;
  #over = false;

  constructor(servers: Servers, options: RunOptions) {
    this.#servers = servers;
    this.#options = options;
  }

  async go(): Promise<Summary> {
    const { lanes, only, tell } = this.#options;
    const beside = [this.#probe(), this.#watch(tell)];
    await (only === undefined ? Promise.all(Array.from({ length: lanes }, () => this.#lane())) : this.#replay(only));
    this.#over = true;
    await Promise.all(beside);
    await this.#last();
    return {
      requests: this.#requests,
      faults: this.#faults,
      probes: this.#probes,
      slowestProbeMs: Math.round(this.#slowestProbeMs),
      peakMib: this.#peakMib,
      seconds: this.#seconds,
      statuses: this.#statuses,
      kinds: this.#kinds,
    };
  }

  get #seconds(): number {
    return (performance.now() - this.#beganMs) / 1000;
  }

  get #done(): boolean {
    const { requests, seconds } = this.#options;
    return (
      this.#over ||
      this.#requests >= requests ||
      this.#seconds >= seconds ||
      this.#faults.length >= mostFaults ||
      this.#servers.death !== undefined
    );
  }

  /** Sends cases until the run is over. A lane has one connection to every server. */
  async #lane(): Promise<void> {
    const channels = new Map<string, Channel>();
    while (!this.#done) {
      const index = this.#next;
      this.#next += 1;
      await this.#one(index, channels);
    }
    for (const channel of channels.values()) channel.close();
  }

  async #replay(index: number): Promise<void> {
    const channels = new Map<string, Channel>();
    this.#options.tell(shown(caseOf(this.#options.seed, index, this.#options.targets)));
    for (let times = 0; times < 2; times += 1) await this.#one(index, channels);
    for (const channel of channels.values()) channel.close();
  }

  async #one(index: number, channels: Map<string, Channel>): Promise<void> {
    const made = caseOf(this.#options.seed, index, this.#options.targets);
    this.#requests += Math.max(1, made.due.length);
    this.#kinds.set(made.kind, (this.#kinds.get(made.kind) ?? 0) + 1);
    const { problem, statuses } = await this.#send(made, channels);
    for (const status of statuses) this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1);
    if (problem !== undefined)
      this.#fault(
        `case ${index} (${made.kind}, model ${made.server}): ${problem}\n  replay: npm run fuzz -- --seed ` +
          `${this.#options.seed} --target ${targetName(this.#options.targets)} --only ${index}\n${shown(made)}`,
      );
  }

  #send(made: Case, channels: Map<string, Channel>): Promise<Result> {
    let channel = channels.get(made.server);
    if (channel === undefined) channels.set(made.server, (channel = this.#channel(made.server, patienceMs)));
    return channel.run(made);
  }

  #channel(server: string, patience: number): Channel {
    const port = this.#servers.ports.get(server);
    if (port === undefined) throw new Error(`no server ${server}`);
    return new Channel({ host, port, patienceMs: patience });
  }

  /** Probes the servers until the run is over. Each probe uses a new connection, like a kubelet's probe. */
  async #probe(): Promise<void> {
    const names = [...this.#servers.ports.keys()];
    while (!this.#over && this.#servers.death === undefined) {
      const channel = this.#channel(names[this.#probes % names.length] ?? '', probePatienceMs);
      const beganMs = performance.now();
      const { problem } = await channel.run({
        kind: 'probe',
        server: '',
        parts: [get('/v2/health/live')],
        due: [{ check: ({ status }) => (status === 200 ? undefined : `status ${status}`) }],
        connection: 'keep',
      });
      channel.close();
      this.#slowestProbeMs = Math.max(this.#slowestProbeMs, performance.now() - beganMs);
      this.#probes += 1;
      if (problem !== undefined) this.#fault(`liveness probe ${this.#probes}: ${problem}`);
      await wait(100);
    }
  }

  async #watch(tell: (line: string) => void): Promise<void> {
    const { memoryMib } = this.#options;
    for (let looks = 1; !this.#over; looks += 1) {
      const now = await this.#servers.memoryMib();
      if (now > memoryMib && this.#peakMib <= memoryMib) this.#fault(`memory: ${now} MiB, the limit is ${memoryMib}`);
      this.#peakMib = Math.max(this.#peakMib, now);
      if (looks % 100 === 0)
        tell(`${this.#requests} requests, ${this.#faults.length} faults, ${now} MiB, ${Math.round(this.#seconds)} s`);
      await wait(100);
    }
  }

  /** The checks at the end: the process is alive, and every server is ready. */
  async #last(): Promise<void> {
    const { death } = this.#servers;
    if (death !== undefined) return this.#fault(death);
    for (const name of this.#servers.ports.keys()) {
      const channel = this.#channel(name, patienceMs);
      const { problem } = await channel.run({
        kind: 'last',
        server: name,
        parts: [get('/v2/health/ready')],
        due: [{ check: ({ status }) => (status === 200 ? undefined : `status ${status}`) }],
        connection: 'keep',
      });
      channel.close();
      if (problem !== undefined) this.#fault(`${name} is not ready at the end: ${problem}`);
    }
  }

  #fault(what: string): void {
    this.#faults.push(what);
    this.#options.tell(`FAULT ${this.#faults.length}: ${what}`);
  }
}

function targetName(targets: readonly Target[]): string {
  return targets.length === 1 ? (targets[0] ?? 'all') : 'all';
}

const shownBytes = 1200;

/** The bytes of a case in readable form, indented. */
function shown({ parts }: Case): string {
  return parts
    .map((part) => {
      if (part === 'end') return '  [the client ends its side]';
      if (part === 'destroy') return '  [the client leaves]';
      if (!Buffer.isBuffer(part)) return `  [${part.pauseMs} ms]`;
      return (
        '  ' +
        `${JSON.stringify(part.subarray(0, shownBytes).toString('latin1'))}` +
        `${part.length > shownBytes ? ` and ${part.length - shownBytes} bytes more` : ''}`
      );
    })
    .join('\n');
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

const generators: Readonly<Record<Target, (chance: Chance) => Case>> = {
  http: httpCase,
  json: jsonCase,
  binary: binaryCase,
  embeddings: embeddingsCase,
};

/** The case with this index. @param chosen the targets; one of them is picked at random */
export function caseOf(seed: number, index: number, chosen: readonly Target[]): Case {
  const chance = new Chance(seed, index);
  return generators[chance.pick(chosen)](chance);
}
