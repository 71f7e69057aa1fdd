/**
 * ONNX Runtime's C API in the library that onnxruntime-node ships, called through koffi.
 *
 * Owns:   loading the library, the refusal of every other version, and the conversion of a failed OrtStatus to an
 *         OrtError. Addresses are BigInts; nothing here keeps or frees memory.
 * Limits: a wrong signature or a freed pointer ends the process without a message, so this code runs in a process
 *         of its own.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi from 'koffi';
import { messageOf } from '../../../api/errors.ts';
import { apiVersion, functionTable, ortVersion } from './function-table.ts';
import { signatures, type NativeName, type NativeSignature, type NativeType } from './signatures.ts';

// koffi calls native functions on stacks of its own, by default of 128 KiB. ONNX Runtime expects the stack of a thread,
// which has 8 MiB: a run recurses into subgraphs. Pages of a stack take memory only once they are used.
koffi.config({ ...koffi.config(), sync_stack_size: 8 * 2 ** 20, async_stack_size: 8 * 2 ** 20 });

/** The address of native memory; 0n is a null pointer. */
export type Address = bigint;

type ArgumentOf<T extends NativeType> = T extends 'str'
  ? string
  : T extends 'ptr'
    ? Address | ArrayBufferView | null
    : number | bigint;
type ArgumentsOf<T extends readonly NativeType[]> = { [K in keyof T]: ArgumentOf<T[K]> };
type ParametersOf<N extends NativeName> = (typeof signatures)[N] extends readonly [
  NativeType,
  ...infer P extends readonly NativeType[],
]
  ? ArgumentsOf<P>
  : never;
type KoffiCallback = (error: unknown, result: unknown) => void;
type KoffiFunction = { (...values: unknown[]): unknown; async: (...values: [...unknown[], KoffiCallback]) => void };

/** Codes of OrtErrorCode, by their numbers. */
const errorCodes = [
  'OK',
  'FAIL',
  'INVALID_ARGUMENT',
  'NO_SUCHFILE',
  'NO_MODEL',
  'ENGINE_ERROR',
  'RUNTIME_EXCEPTION',
  'INVALID_PROTOBUF',
  'MODEL_LOADED',
  'NOT_IMPLEMENTED',
  'INVALID_GRAPH',
  'EP_FAIL',
  'MODEL_LOAD_CANCELED',
  'MODEL_REQUIRES_COMPILATION',
  'NOT_FOUND',
] as const;

/** An error of ONNX Runtime, with its code and its message. */
export class OrtError extends Error {
  override readonly name = 'OrtError';
  /** The code's name in OrtErrorCode, or `CODE_` and its number when this version does not name it. */
  readonly code: string;

  constructor(code: number, message: string) {
    super(message);
    this.code = errorCodes[code] ?? `CODE_${code}`;
  }
}

const koffiTypes = { ptr: 'void*', str: 'str', int: 'int', u32: 'uint32_t', i64: 'int64_t', size: 'size_t' } as const;
const koffiTypeOf = (type: NativeType): string => (type === 'void' ? 'void' : koffiTypes[type]);

/** The library of onnxruntime-node for this machine. */
export function bundledLibrary(): string {
  const home = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return join(home, 'bin', 'napi-v6', process.platform, process.arch, 'libonnxruntime.so.1');
}

export class OrtLibrary {
  readonly #functions = new Map<NativeName, KoffiFunction>();
  readonly #table: readonly Address[];

  private constructor(table: readonly Address[]) {
    this.#table = table;
  }

  /**
   * @throws Error when the file is not a library, or not ONNX Runtime in the version for which function-table.ts holds
   */
  static open(path = bundledLibrary()): OrtLibrary {
    const getApiBase = load(path).func('OrtGetApiBase', 'void*', []) as () => Address;
    const [getApi = 0n, getVersion = 0n] = addressesAt(getApiBase(), 2);
    const version = String((koffi.decode(getVersion, koffi.proto('str', [])) as () => unknown)());
    checkVersion(version, path);
    const api = (koffi.decode(getApi, koffi.proto('void*', ['uint32_t'])) as (version: number) => Address | null)(
      apiVersion,
    );
    if (api === null) throw new Error(`${path} has no API of version ${apiVersion}`);
    return new OrtLibrary(addressesAt(api, Math.max(...Object.values(functionTable)) + 1));
  }

  /**
   * Calls a function whose result is an OrtStatus.
   * @throws OrtError
   */
  check<N extends NativeName>(name: N, ...values: ParametersOf<N>): void {
    this.#throwStatus(this.#function(name)(...values) as Address | null);
  }

  /** Calls a function that only releases an object. Releasing 0n does nothing. */
  release(name: NativeName & `Release${string}`, address: Address): void {
    this.#function(name)(address);
  }

  /**
   * Calls a function whose result is an OrtStatus on a thread of libuv. Arrays in `values` are kept until the promise
   * is settled; what they point to is the caller's to keep.
   * @throws OrtError
   */
  checkAsync<N extends NativeName>(name: N, ...values: ParametersOf<N>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#function(name).async(...(values as readonly unknown[]), (error: unknown, status: unknown) => {
        // This closure keeps the arguments: the garbage collector would free arrays that only native code uses.
        keepUntilHere(values);
        try {
          if (error instanceof Error) throw error;
          this.#throwStatus(status as Address | null);
          resolve();
        } catch (problem) {
          reject(problem instanceof Error ? problem : new Error(String(problem)));
        }
      });
    });
  }

  /** Calls a function that writes an address to its last parameter. @returns this address @throws OrtError */
  make<N extends NativeName>(name: N, ...values: WithoutLast<ParametersOf<N>>): Address {
    const out = outWord();
    this.check(name, ...([...values, out] as unknown as ParametersOf<N>));
    return out[0] as Address;
  }

  #throwStatus(status: Address | null): void {
    if (status === null || status === 0n) return;
    const code = Number(this.#function('GetErrorCode')(status));
    const message = String(this.#function('GetErrorMessage')(status));
    this.release('ReleaseStatus', status);
    throw new OrtError(code, message);
  }

  #function(name: NativeName): KoffiFunction {
    const known = this.#functions.get(name);
    if (known !== undefined) return known;
    const [result, ...parameters] = signatures[name] as NativeSignature;
    const proto = koffi.proto(koffiTypeOf(result), parameters.map(koffiTypeOf));
    const made = koffi.decode(this.#table[functionTable[name]], proto) as KoffiFunction;
    this.#functions.set(name, made);
    return made;
  }
}

/** @throws Error for every version of ONNX Runtime but that of function-table.ts */
export function checkVersion(version: string, path: string): void {
  if (version === ortVersion) return;
  throw new Error(
    `${path} is ONNX Runtime ${version}, but the positions of its functions are known for ${ortVersion} only: ` +
      `install onnxruntime-node ${ortVersion}, or run npm run generate:ort-api for ${version}`,
  );
}

/** koffi unloads a library whose handle is garbage, while its functions may still be called. */
const loaded = new Map<string, ReturnType<typeof koffi.load>>();

function load(path: string): ReturnType<typeof koffi.load> {
  try {
    const library = loaded.get(path) ?? koffi.load(path);
    loaded.set(path, library);
    return library;
  } catch (error) {
    throw new Error(`cannot load ${path}: ${messageOf(error)}`, { cause: error });
  }
}

type WithoutLast<T> = T extends readonly [...infer Rest, unknown] ? Rest : never;

/** A word for one result of a native function. V8 moves small typed arrays unless their buffer is made first. */
export function outWord(): BigUint64Array<ArrayBuffer> {
  return new BigUint64Array(new ArrayBuffer(8));
}

/** A view of native memory. The memory must outlive the view. */
export function nativeView(address: Address, bytes: number): Uint8Array<ArrayBuffer> {
  return bytes === 0 ? new Uint8Array(0) : new Uint8Array(koffi.view(address, bytes));
}

/** The text of a C string. */
export function textAt(address: Address): string {
  return String(koffi.decode(address, 'char', -1));
}

/** The address of an array's first byte. The array must be kept for as long as the address is used. */
export function addressOf(array: ArrayBufferView): Address {
  return koffi.address(array);
}

const kept: { latest: unknown } = { latest: undefined };

/** Call this with an array after its address was used: the garbage collector does not free the array before. */
export function keepUntilHere(array: unknown): void {
  kept.latest = array;
}

function addressesAt(address: Address, count: number): readonly Address[] {
  return koffi.decode(address, koffi.array('void*', count)) as readonly Address[];
}
