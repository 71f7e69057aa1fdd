/**
 * The measurement of one model: servers take turns, cell by cell, round by round (A B C A B C …), so that other load
 * of the machine affects all of them alike.
 * Terms: a cell is one server under one load of one case. The raw loop calls ONNX Runtime without a server.
 * Owns: the order of the cells, the raw loop's best batch size, and pausing the servers that are not measured.
 */
import { benchCases, benchModels, type BenchCase, type CaseName, type ModelName } from './cases.ts';
import type { GeneratorProcess } from './load/generator-process.ts';
import { loadTable, rateOf, type Capacities, type LoadName } from './loads.ts';
import { materialFor, type Material } from './material.ts';
import type { Order } from './order.ts';
import { requestsFor, startParticipant, whyWrong, type Missing, type Participant } from './participants.ts';
import type { ServedName } from './servers/commands.ts';
import type { PythonEnvironment } from './servers/python.ts';
import { RawProcess } from './servers/raw-process.ts';
import { capacitiesOf, figuresOf, rawFigures, type Cell, type Figures } from './summary.ts';

export type ModelDeps = {
  readonly order: Order;
  readonly modelFolder: string;
  readonly scratch: string;
  readonly cpus: number;
  readonly generator: GeneratorProcess;
  readonly environments: ReadonlyMap<ServedName, PythonEnvironment>;
  readonly inGroup: (argv: readonly string[]) => readonly string[];
  readonly stop: AbortSignal;
  readonly say: (line: string) => void;
};

export type Measured = {
  readonly cells: readonly Cell[];
  readonly missing: readonly Missing[];
  /** The raw loop's batch size with the highest rate, by case. */
  readonly batches: Readonly<Record<string, number>>;
};

const batchSizes = [1, 2, 4, 8, 16, 32];
/** A larger batch size is chosen only if the rate is higher by this factor, because rates vary by chance. */
const gain = 1.02;
const outstanding = 256;
/** Load before a server's first measurement: Node.js compiles JavaScript during the first thousands of requests. */
const firstWarmMs = 1500;

/** Measures all cases of one model. */
export async function measureModel(model: ModelName, cases: readonly CaseName[], deps: ModelDeps): Promise<Measured> {
  const { order, environments, cpus, stop } = deps;
  const missing: Missing[] = [];
  const participants: Participant[] = [];
  const outputs = benchModels[model].outputs.map(({ name }) => name);
  const raw = await RawProcess.start(
    { graphPath: `${deps.modelFolder}/model.onnx`, outputs, workers: cpus },
    deps.inGroup,
  );
  try {
    for (const name of ['ours', ...order.peers] as const) {
      const started = await startParticipant(name, { ...deps, model, cache: `${order.cache}/prepared`, environments });
      if ('why' in started) missing.push(started);
      else {
        started.server.pause();
        participants.push(started);
      }
    }
    const cells: Cell[] = [];
    const batches: Record<string, number> = {};
    for (const name of cases) {
      stop.throwIfAborted();
      const run = new CaseRun(name, materialFor(name, deps.modelFolder), raw, deps);
      await run.prepare(participants);
      batches[name] = run.batch;
      await run.measure();
      cells.push(...run.cells);
      missing.push(...run.missing);
    }
    return { cells, missing, batches };
  } finally {
    raw.end();
    await Promise.all(participants.map(({ server }) => server.end()));
  }
}

class CaseRun {
  readonly cells: Cell[] = [];
  readonly missing: Missing[] = [];
  batch = 1;
  readonly #name: CaseName;
  readonly #case: BenchCase;
  readonly #material: Material;
  readonly #raw: RawProcess;
  readonly #deps: ModelDeps;
  #participants: readonly Participant[] = [];

  constructor(name: CaseName, material: Material, raw: RawProcess, deps: ModelDeps) {
    this.#name = name;
    this.#case = benchCases[name];
    this.#material = material;
    this.#raw = raw;
    this.#deps = deps;
  }

  /** Finds the raw loop's batch size, warms up the servers, and leaves out those with wrong answers. */
  async prepare(all: readonly Participant[]): Promise<void> {
    const { order, cpus } = this.#deps;
    const probeMs = Math.max(300, order.spanMs / 4);
    const { values } = await this.#rawRun(1, cpus, probeMs);
    let best = 0;
    for (const batch of this.#case.canShareRuns ? batchSizes : [1]) {
      const { perSecond } = rawFigures(await this.#rawRun(batch, cpus, probeMs));
      if (perSecond > best * gain) [best, this.batch] = [perSecond, batch];
    }
    const right: Participant[] = [];
    for (const participant of all) {
      const why = await this.#alone(participant, async () => {
        const wrong = await whyWrong(participant, this.#name, this.#material, values);
        if (wrong === undefined) await this.#closed(participant, 8, firstWarmMs);
        return wrong;
      });
      if (why === undefined) right.push(participant);
      else this.#leaveOut(participant, why);
    }
    this.#participants = right;
  }

  async measure(): Promise<void> {
    const { loads, rounds } = this.#deps.order;
    const closed = loads.filter((name) => loadTable[name].kind === 'closed');
    const open = loads.filter((name) => loadTable[name].kind === 'open');
    for (let round = 1; round <= rounds; round += 1) {
      for (const load of closed) await this.#closedCells(load, round);
      this.#deps.say(`${this.#name}: closed loops, round ${round} of ${rounds}`);
    }
    if (open.length === 0) return;
    const capacities = capacitiesOf(this.cells);
    for (let round = 1; round <= rounds; round += 1) {
      for (const load of open) await this.#openCells(load, round, capacities);
      this.#deps.say(`${this.#name}: open loops, round ${round} of ${rounds}`);
    }
  }

  async #closedCells(load: LoadName, round: number): Promise<void> {
    const plan = loadTable[load];
    if (plan.kind !== 'closed') return;
    const { spanMs } = this.#deps.order;
    const alone = plan.clients === 1;
    const report = await this.#rawRun(alone ? 1 : this.batch, alone ? 1 : this.#deps.cpus, spanMs);
    this.#keep(load, 'raw', round, rawFigures(report));
    for (const participant of this.#running()) {
      const measured = await this.#alone(participant, () => this.#closed(participant, plan.clients, spanMs));
      this.#keep(load, participant.name, round, figuresOf(measured));
    }
  }

  async #openCells(load: LoadName, round: number, capacities: Capacities): Promise<void> {
    const plan = loadTable[load];
    if (plan.kind !== 'open') return;
    const { spanMs, deadlineMs } = this.#deps.order;
    for (const participant of this.#running()) {
      const { name, form, server } = participant;
      const perSecond = rateOf(plan, name, capacities);
      if (perSecond === undefined) continue;
      const isOurs = name === 'ours';
      const headers = isOurs ? { 'x-request-timeout-ms': String(deadlineMs) } : {};
      const report = await this.#alone(participant, () =>
        this.#deps.generator.run({
          kind: 'open',
          port: server.port,
          requests: requestsFor(form, this.#name, this.#material, headers),
          pids: server.pids,
          warmMs: spanMs / 4,
          ms: spanMs,
          perSecond,
          seed: round,
          outstanding,
          healthPath: isOurs ? '/v2/health/live' : undefined,
        }),
      );
      this.#keep(load, name, round, figuresOf(report, { perSecond, deadlineMs }));
    }
  }

  #closed({ form, server }: Participant, clients: number, ms: number): ReturnType<GeneratorProcess['run']> {
    const requests = requestsFor(form, this.#name, this.#material);
    const warmMs = Math.max(200, this.#deps.order.spanMs / 8);
    return this.#deps.generator.run({
      kind: 'closed',
      port: server.port,
      requests,
      pids: server.pids,
      warmMs,
      ms,
      clients,
    });
  }

  #rawRun(batch: number, workers: number, ms: number): ReturnType<RawProcess['run']> {
    return this.#raw.run({ rows: this.#material.rows, batch, workers, ms });
  }

  async #alone<T>({ server }: Participant, work: () => Promise<T>): Promise<T> {
    this.#deps.stop.throwIfAborted();
    server.resume();
    try {
      return await work();
    } finally {
      server.pause();
    }
  }

  /** Leaves out servers that have ended by themselves. */
  #running(): readonly Participant[] {
    for (const participant of this.#participants)
      if (!participant.server.isRunning) this.#leaveOut(participant, 'it ended by itself during the measurement');
    this.#participants = this.#participants.filter(({ server }) => server.isRunning);
    return this.#participants;
  }

  #leaveOut({ name }: Participant, why: string): void {
    this.missing.push({ what: `${name}, ${this.#name}`, why });
  }

  #keep(load: LoadName, server: string, round: number, figures: Figures): void {
    this.cells.push({ case: this.#name, load, server, round, figures });
  }
}
