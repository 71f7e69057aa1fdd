/**
 * Helpers for tests of fetching and preparing: a config, a clock without waits, archives made in memory. Limits: no
 * state is kept between calls.
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { RuntimeConfig } from '../../api/runtime-config.ts';
import { systemClock, type Clock } from '../../lib/clock.ts';
import type { LogFields, Logger } from '../../lib/log.ts';
import type { NpmMachine } from '../../runtime/prepare/fetch/npm-settings.ts';

/**
 * The machine's clock, except that a wait takes at most 20 ms. `slept` records the requested length of each wait, in
 * milliseconds.
 */
export function hastyClock(): Clock & { readonly slept: number[] } {
  const slept: number[] = [];
  return {
    ...systemClock,
    slept,
    async sleep(ms, signal) {
      // A wait of at most 20 ms keeps its length, because code that polls a process or a lock needs the time. A longer
      // wait, such as one between two tries, is shortened to 20 ms.
      slept.push(ms);
      await systemClock.sleep(Math.min(ms, 20), signal);
    },
  };
}

export type Line = { readonly level: string; readonly message: string; readonly fields: LogFields };

/** A logger that records its lines. */
export function keepingLogger(): Logger & { readonly lines: Line[] } {
  const lines: Line[] = [];
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      lines.push({ level, message, fields });
    };
  const logger: Logger & { readonly lines: Line[] } = {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  };
  return logger;
}

export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

type Change = { readonly [K in keyof RuntimeConfig]?: Partial<RuntimeConfig[K]> };

export function runtimeConfig(uri: string, change: Change = {}): RuntimeConfig {
  return {
    schema: 1,
    name: 'ranker',
    namespace: 'default',
    revision: '0123456789',
    task: 'Tensor',
    source: { uri, variants: [], ...change.source },
    ...(change.embedding === undefined
      ? {}
      : {
          embedding: {
            tokenizer: 'tokenizer.json',
            pooling: 'Mean',
            normalize: true,
            maxTokens: 128,
            onTooLong: 'Truncate',
            ...change.embedding,
          },
        }),
    execution: {
      providers: [{ name: 'CPU', options: {} }],
      fallbackPolicy: 'Forbid',
      precision: 'Source',
      graphOptimization: 'All',
      profile: 'Throughput',
      sessionConfig: {},
      ...change.execution,
    },
    batching: { maxBatchSize: 8, maxQueueDelayMs: 0, maxQueueDepth: 64 },
    memory: { arena: 'Auto', ...change.memory },
    warmup: { requests: 1, timeoutMs: 60_000 },
  };
}

export type TarFile = {
  readonly path: string;
  readonly bytes?: Uint8Array;
  readonly type?: string;
  readonly link?: string;
};

/** A tar archive; paths over 100 characters get a pax header. */
export function tar(files: readonly TarFile[]): Buffer {
  const blocks = files.flatMap(({ path, bytes = new Uint8Array(0), type = '0', link = '' }) => [
    ...(path.length > 100 ? [...tarEntry('PaxHeader', paxRecord('path', path), { type: 'x' })] : []),
    ...tarEntry(path.slice(0, 100), bytes, { type, link }),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

export function tarEntry(
  path: string,
  bytes: Uint8Array,
  { type = '0', link = '', sizeBytes = bytes.length } = {},
): Buffer[] {
  const header = Buffer.alloc(512);
  header.write(path, 0, 100);
  header.write('0000644\0', 100);
  header.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124);
  header.write(type, 156);
  header.write(link, 157, 100);
  header.write('ustar\x0000', 257);
  writeChecksum(header);
  return [header, Buffer.from(bytes), Buffer.alloc((512 - (bytes.length % 512)) % 512)];
}

/** Writes the checksum into a header whose other fields are set. */
export function writeChecksum(header: Buffer): void {
  header.write('        ', 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}

export function paxRecord(key: string, value: string): Buffer {
  const body = ` ${key}=${value}\n`;
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.from(`${length}${body}`);
}

/** An npm package version: its archive, and the registry's answer for it. */
export function npmPackage(
  name: string,
  version: string,
  given: { readonly files: readonly TarFile[]; readonly origin: string; readonly archive?: Buffer },
): { tarball: Buffer; path: string; packument: string } {
  const tarball = given.archive ?? gzipSync(tar(given.files));
  const path = `/${name}/-/${name.replace(/^@[^/]*\//, '')}-${version}.tgz`;
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  return {
    tarball,
    path,
    packument: JSON.stringify({
      name,
      'dist-tags': { latest: version },
      versions: { [version]: { dist: { tarball: `${given.origin}${path}`, integrity } } },
    }),
  };
}

/** An environment in which npm uses this registry only. */
export function npmWith(registry: string, environment: Readonly<Record<string, string>> = {}): NpmMachine {
  return {
    environment: { npm_config_registry: registry, ...environment },
    cwd: '/nonexistent',
    home: '/nonexistent',
    globalFiles: [],
    ask: async () => undefined,
  };
}
