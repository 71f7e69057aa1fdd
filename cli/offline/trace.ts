/**
 * Reads a recorded canary as a stream: JSON lines, sorted by time. A request is `{"t", "revision", "latencyMs", "ok",
 * "agree"?}`; a pair is `{"t", "ratio", "source"}`. Other fields are ignored, so that log lines can be used.
 *
 * Limits: 4 KiB for a line; only one chunk of the stream and its entries are kept in memory.
 * Throws: FILE_UNREADABLE; BAD_CONFIG with the number of the line.
 */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { AppError, messageOf } from '../../api/errors.ts';
import { pairSources, type PairSource } from '../../api/report.ts';

export type TraceRequest = {
  /** When the request ended, in seconds. Times may start at any epoch. */
  readonly t: number;
  readonly revision: 'stable' | 'candidate';
  /** Milliseconds; 0 when the request failed and its line has no latency. */
  readonly latencyMs: number;
  readonly ok: boolean;
  /** Whether the candidate's answer agreed with stable's answer; absent: they were not compared. */
  readonly agree?: boolean;
  readonly line: number;
};

/** The service times of both revisions for the same request. A pair does not count as a request. */
export type TracePair = {
  readonly t: number;
  /** The candidate's service time divided by stable's service time. */
  readonly ratio: number;
  readonly source: PairSource;
  readonly line: number;
};

export type TraceEntry = TraceRequest | TracePair;

const lineLimitBytes = 4096;
const newline = 10;

/** @param path a file, or "-" for standard input. @returns entries in batches, in the trace's order */
export async function* readTrace(
  path: string,
  input: Readable = path === '-' ? process.stdin : createReadStream(path),
): AsyncGenerator<readonly TraceEntry[]> {
  const where = path === '-' ? 'standard input' : path;
  const reader = new LineReader(where);
  try {
    for await (const chunk of input) yield reader.take(Buffer.from(chunk as Uint8Array));
    yield reader.end();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('FILE_UNREADABLE', { path: where, why: messageOf(error) }, { cause: error });
  }
}

type Expected = Readonly<Record<string, { readonly what: string; readonly is: (value: unknown) => boolean }>>;

/** The fields of a line that describes a request. */
const expected: Expected = {
  t: { what: 'seconds from 0 to 1e12', is: (value) => isNumber(value, 1e12) },
  revision: { what: '"stable" or "candidate"', is: (value) => value === 'stable' || value === 'candidate' },
  latencyMs: { what: 'milliseconds from 0 to 1e9', is: (value) => isNumber(value, 1e9) },
  ok: { what: 'true or false', is: (value) => typeof value === 'boolean' },
  agree: { what: 'true, false or nothing', is: (value) => value === undefined || typeof value === 'boolean' },
};

/** The fields of a line that describes a pair. */
const expectedOfPair: Expected = {
  t: { what: 'seconds from 0 to 1e12', is: (value) => isNumber(value, 1e12) },
  ratio: { what: 'a number above 0, up to 1e6', is: (value) => isNumber(value, 1e6) && value !== 0 },
  source: {
    what: pairSources.map((source) => `"${source}"`).join(' or '),
    is: (value) => pairSources.some((source) => source === value),
  },
};

class LineReader {
  readonly #where: string;
  #rest: Buffer = Buffer.alloc(0);
  #line = 0;
  #latest = -Infinity;

  constructor(where: string) {
    this.#where = where;
  }

  take(chunk: Buffer): TraceEntry[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const requests: TraceEntry[] = [];
    let from = 0;
    for (let to = bytes.indexOf(newline); to !== -1; to = bytes.indexOf(newline, from)) {
      this.#read(bytes.subarray(from, to), requests);
      from = to + 1;
    }
    this.#rest = Buffer.from(bytes.subarray(from));
    if (this.#rest.length > lineLimitBytes)
      throw this.#wrong(
        this.#line + 1,
        `the line is longer than ${lineLimitBytes} bytes; the trace must be JSON lines`,
      );
    return requests;
  }

  end(): TraceEntry[] {
    const requests: TraceEntry[] = [];
    this.#read(this.#rest, requests);
    return requests;
  }

  #read(bytes: Buffer, into: TraceEntry[]): void {
    this.#line += 1;
    const line = this.#line;
    if (bytes.length > lineLimitBytes)
      throw this.#wrong(line, `the line has ${bytes.length} bytes, the limit is ${lineLimitBytes}`);
    const text = bytes.toString('utf8').trim();
    if (text === '') return;
    const request = this.#parse(text, line);
    if (request.t < this.#latest)
      throw this.#wrong(line, `t is ${request.t}, less than ${this.#latest} in an earlier line: sort the trace by t`);
    this.#latest = request.t;
    into.push(request);
  }

  #parse(text: string, line: number): TraceEntry {
    const fields = withLatency(this.#object(text, line));
    const isPair = fields['ratio'] !== undefined;
    const wrongOne = Object.entries(isPair ? expectedOfPair : expected).find(([name, { is }]) => !is(fields[name]));
    if (wrongOne !== undefined)
      throw this.#wrong(line, `${wrongOne[0]} is ${shown(fields[wrongOne[0]])}, expected ${wrongOne[1].what}`);
    if (isPair) {
      const { t, ratio, source } = fields as Omit<TracePair, 'line'>;
      return { t, ratio, source, line };
    }
    const { t, revision, latencyMs, ok, agree } = fields as Omit<TraceRequest, 'line'>;
    return { t, revision, latencyMs, ok, line, ...(agree === undefined ? {} : { agree }) };
  }

  #object(text: string, line: number): Readonly<Record<string, unknown>> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw this.#wrong(line, `not JSON: ${text.length > 60 ? `${text.slice(0, 60)}…` : text}`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.#wrong(line, 'not a JSON object');
    return value as Readonly<Record<string, unknown>>;
  }

  #wrong(line: number, problem: string): AppError {
    return new AppError('BAD_CONFIG', { where: `${this.#where} line ${line}`, problem });
  }
}

/** Adds the latency 0 to a failed request that has no latencyMs. The latency of a failed request is not counted. */
function withLatency(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return fields['ok'] === false && (fields['latencyMs'] ?? null) === null ? { ...fields, latencyMs: 0 } : fields;
}

function isNumber(value: unknown, most: number): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= most;
}

function shown(value: unknown): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
