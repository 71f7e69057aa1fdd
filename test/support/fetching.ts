/**
 * The set-up for tests of fetching: a folder, a web server, and `fetchFrom`, which acquires a model from the server.
 * Owns: the mocha hooks that create and remove the set-up for every test of a `describe`.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError, type ErrorCode } from '../../api/errors.ts';
import type { SourceConfig } from '../../api/runtime-config.ts';
import { acquire, type Acquired, type AcquireDeps } from '../../runtime/prepare/acquire.ts';
import { ModelCache } from '../../runtime/prepare/cache/cache.ts';
import { openPart, type OpenPart } from '../../runtime/prepare/fetch/part-file.ts';
import { Progress } from '../../runtime/prepare/progress.ts';
import { defaultLimits, type SourceLimits } from '../../runtime/prepare/fetch/source.ts';
import { hastyClock, keepingLogger, npmWith } from './artifact.ts';
import { FileServer } from './file-server.ts';
import { noise } from './onnx-models.ts';

export type Given = Partial<AcquireDeps> & {
  readonly limits?: Partial<SourceLimits>;
  readonly openPart?: OpenPart;
  readonly signal?: AbortSignal;
};

/** A model's file for tests that do not read its content: a hundred kilobytes that do not compress. */
export const content = Buffer.from(noise(25_000, 1).buffer);

export class FetchWorld {
  folder = '';
  logger = keepingLogger();
  #server: FileServer | undefined;

  /** Call it inside a describe: every test gets a new set-up. */
  static forEachTest(): FetchWorld {
    const world = new FetchWorld();
    beforeEach(async () => {
      world.folder = await mkdtemp(join(tmpdir(), 'fetch-'));
      world.logger = keepingLogger();
      world.#server = await FileServer.start();
      world.server.files.set('/m.onnx', content);
    });
    afterEach(async () => {
      await world.server.stop();
      await rm(world.folder, { recursive: true, force: true });
    });
    return world;
  }

  get server(): FileServer {
    if (this.#server === undefined) throw new Error('outside a test');
    return this.#server;
  }

  async fetchFrom(source: Partial<SourceConfig>, given: Given = {}): Promise<Acquired> {
    const clock = hastyClock();
    const { logger } = this;
    const cache = await ModelCache.open(join(this.folder, 'cache'), { maxBytes: 1e9, clock, logger });
    return await acquire(
      { uri: `${this.server.origin}/m.onnx`, variants: [], ...source },
      {
        cache,
        sourceDir: undefined,
        allowFile: true,
        resolvedDigest: undefined,
        npm: npmWith(this.server.origin),
        http: {},
        ...given,
        fetch: {
          openPart: given.openPart ?? openPart,
          limits: { ...defaultLimits, ...given.limits },
          clock,
          logger,
          random: () => 0.5,
          progress: new Progress('reading model', { logger, clock }),
          signal: given.signal ?? new AbortController().signal,
        },
      },
    );
  }
}

export async function bytesOf(acquired: Acquired, path = 'm.onnx'): Promise<Buffer> {
  return await readFile(join(acquired.root, path));
}

/** A check for assert.rejects: the error is an AppError with this code and a matching message. */
export function code(want: ErrorCode, message = /./): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof AppError, String(error));
    assert.equal(error.code, want, error.message);
    assert.match(error.message, message);
    return true;
  };
}
