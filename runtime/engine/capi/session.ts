/**
 * Environments and sessions of ONNX Runtime.
 *
 * Owns:   the environment with its optional limit of the arena, the translation of session options, and runs. Several
 *         runs of one session may be in progress at once; each blocks one thread of libuv.
 * Limits: the CPU provider only. `arenaBytes` limits the memory of all runs together.
 * Ends:   release() when no run is in progress; a run of a released session would end the process.
 */
import type { SessionOptions } from '../session-options.ts';
import { addressOf, keepUntilHere, OrtLibrary, outWord, textAt, type Address } from './library.ts';
import { cString, OrtValues, addressWords } from './values.ts';

export type OrtEnvironment = {
  readonly ort: OrtLibrary;
  readonly values: OrtValues;
  readonly address: Address;
  /** True when sessions share an arena of limited size. */
  readonly hasArena: boolean;
  release(): void;
};

const logFatal = 4;

/**
 * @param arenaBytes limit of the arena that all sessions of this environment share; undefined: each session has its own
 *   arena, or none, without a limit
 * @throws Error for another version of ONNX Runtime
 */
export function openEnvironment(arenaBytes?: number, path?: string): OrtEnvironment {
  const ort = OrtLibrary.open(path);
  const address = ort.make('CreateEnv', logFatal, 'onnx-operator');
  ort.check('DisableTelemetryEvents', address);
  if (arenaBytes !== undefined) shareArena(ort, address, arenaBytes);
  const values = new OrtValues(ort);
  return {
    ort,
    values,
    address,
    hasArena: arenaBytes !== undefined,
    release: () => {
      values.close();
      ort.release('ReleaseEnv', address);
    },
  };
}

function shareArena(ort: OrtLibrary, environment: Address, maxBytes: number): void {
  const keys = [cString('max_mem')];
  const config = ort.make(
    'CreateArenaCfgV2',
    addressWords(keys.map(addressOf)),
    BigUint64Array.from([BigInt(Math.floor(maxBytes))]),
    1n,
  );
  keepUntilHere(keys);
  const memory = ort.make('CreateCpuMemoryInfo', 1, 0);
  try {
    ort.check('CreateAndRegisterAllocator', environment, memory, config);
  } finally {
    ort.release('ReleaseArenaCfg', config);
    ort.release('ReleaseMemoryInfo', memory);
  }
}

const levels = { disabled: 0, basic: 1, extended: 2, layout: 3, all: 99 } as const;

export type OpenOptions = Pick<
  SessionOptions,
  'intraOpNumThreads' | 'graphOptimizationLevel' | 'enableCpuMemArena' | 'enableMemPattern' | 'extra'
>;

export class NativeSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly #environment: OrtEnvironment;
  readonly #address: Address;
  /** The names as C strings, which must live as long as the session. */
  readonly #names = new Map<string, { readonly text: Buffer; readonly address: Address }>();

  private constructor(environment: OrtEnvironment, address: Address) {
    this.#environment = environment;
    this.#address = address;
    this.inputNames = this.#read('SessionGetInputCount', 'SessionGetInputName');
    this.outputNames = this.#read('SessionGetOutputCount', 'SessionGetOutputName');
  }

  /** Loads a model on a thread of libuv. @throws OrtError */
  static async open(environment: OrtEnvironment, path: string, options: OpenOptions): Promise<NativeSession> {
    const { ort } = environment;
    const own = ort.make('CreateSessionOptions');
    try {
      configure(environment, own, options);
      const out = outWord();
      await ort.checkAsync('CreateSession', environment.address, path, own, out);
      return new NativeSession(environment, out[0] as Address);
    } finally {
      ort.release('ReleaseSessionOptions', own);
    }
  }

  /**
   * Runs the model on a thread of libuv.
   *
   * @param inputs values by name; the caller keeps and releases them
   * @param outputs names of outputs; an address is a value that receives the output, null leaves the memory to ONNX
   *   Runtime
   * @param run options of this run, for `terminate`
   * @returns the values of the outputs in order. The caller releases those that ONNX Runtime made
   * @throws OrtError
   */
  async run(
    inputs: ReadonlyMap<string, Address>,
    outputs: ReadonlyMap<string, Address | null>,
    run: RunOptions,
  ): Promise<readonly Address[]> {
    for (const name of this.inputNames)
      if (!inputs.has(name)) throw new Error(`input '${name}' is missing in 'feeds'.`);
    const inputNames = addressWords([...inputs.keys()].map((name) => this.#nameOf(name)));
    const inputValues = addressWords([...inputs.values()]);
    const outputNames = addressWords([...outputs.keys()].map((name) => this.#nameOf(name)));
    const outputValues = addressWords([...outputs.values()].map((value) => value ?? 0n));
    await this.#environment.ort.checkAsync(
      'Run',
      this.#address,
      run.address,
      inputNames,
      inputValues,
      BigInt(inputs.size),
      outputNames,
      BigInt(outputs.size),
      outputValues,
    );
    return [...outputValues.subarray(0, outputs.size)];
  }

  release(): void {
    this.#environment.ort.release('ReleaseSession', this.#address);
  }

  #nameOf(name: string): Address {
    const known = this.#names.get(name);
    if (known !== undefined) return known.address;
    const text = cString(name);
    const address = addressOf(text);
    // Names of requests that the model does not have must not be kept: they would grow without a limit.
    if (this.inputNames.includes(name) || this.outputNames.includes(name)) this.#names.set(name, { text, address });
    else throw new Error(`Invalid input or output name: '${name}'`);
    return address;
  }

  #read(
    count: 'SessionGetInputCount' | 'SessionGetOutputCount',
    name: 'SessionGetInputName' | 'SessionGetOutputName',
  ): readonly string[] {
    const { ort } = this.#environment;
    const allocator = ort.make('GetAllocatorWithDefaultOptions');
    const total = Number(ort.make(count, this.#address));
    return Array.from({ length: total }, (_, index) => {
      const text = ort.make(name, this.#address, BigInt(index), allocator);
      const read = textAt(text);
      ort.check('AllocatorFree', allocator, text);
      return read;
    });
  }
}

/** Options of one run. */
export class RunOptions {
  readonly address: Address;
  readonly #ort: OrtLibrary;

  /** @param shrink frees the unused memory of the arena after the run */
  constructor(ort: OrtLibrary, { shrink }: { readonly shrink: boolean }) {
    this.#ort = ort;
    this.address = ort.make('CreateRunOptions');
    if (shrink) ort.check('AddRunConfigEntry', this.address, 'memory.enable_memory_arena_shrinkage', 'cpu:0');
  }

  /** Ends the run before its next node. The run fails with "Exiting due to terminate flag being set to true". */
  terminate(): void {
    this.#ort.check('RunOptionsSetTerminate', this.address);
  }

  /** Call this when the run has ended. */
  release(): void {
    this.#ort.release('ReleaseRunOptions', this.address);
  }
}

function configure(environment: OrtEnvironment, own: Address, options: OpenOptions): void {
  const { ort } = environment;
  ort.check('SetIntraOpNumThreads', own, options.intraOpNumThreads);
  ort.check('SetInterOpNumThreads', own, 1);
  ort.check('SetSessionExecutionMode', own, 0);
  ort.check('SetSessionGraphOptimizationLevel', own, levels[options.graphOptimizationLevel]);
  ort.check('SetSessionLogSeverityLevel', own, logFatal);
  ort.check(options.enableCpuMemArena || environment.hasArena ? 'EnableCpuMemArena' : 'DisableCpuMemArena', own);
  ort.check(options.enableMemPattern ? 'EnableMemPattern' : 'DisableMemPattern', own);
  const entries = { ...options.extra, ...(environment.hasArena ? { 'session.use_env_allocators': '1' } : {}) };
  for (const [key, value] of Object.entries(entries)) ort.check('AddSessionConfigEntry', own, key, value);
}
