/**
 * The token of this pod's revision, from the mounted access file (api/access.ts).
 *
 * Owns: reading the file again when it may have changed, and comparing tokens in constant time. Without a readable
 *       file, no token is accepted and no request is sampled.
 * Terms: a revision is one immutable configuration of a model. Its token is a secret that a request for samples must
 *       carry. A sample is a user's request that is kept with its answer, to be sent to another revision too.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bearer, parseAccess, type Access } from '../../api/access.ts';
import { paths } from '../../api/names.ts';
import type { Clock } from '../../lib/clock.ts';

/**
 * Milliseconds between two readings. The file of a running pod changes when the spec's limit on differing answers
 * (quality gate) changes, because the file contains the sample rate.
 */
const rereadMs = 2_000;
const limitBytes = 4_096;

export interface Door {
  /** Whether the `authorization` header has the revision's token. */
  isOpenTo(authorization: string | undefined): boolean;
  /** Largest share of requests that may be sampled, 0 to 1. */
  readonly sampleRate: number;
  /** The revision's token; undefined when this pod does not have one. */
  readonly token: string | undefined;
}

/** Accepts no token. The command `serve` uses it, because it has no access file. */
export const closedDoor: Door = { isOpenTo: () => false, sampleRate: 0, token: undefined };

export class AccessFile implements Door {
  readonly #path: string;
  readonly #clock: Clock;
  #readAtMs = -Infinity;
  #access: Access | undefined;

  /** @param configDir the folder of the revision's ConfigMap */
  constructor(configDir: string, clock: Clock) {
    this.#path = join(configDir, paths.accessFile);
    this.#clock = clock;
  }

  isOpenTo(authorization: string | undefined): boolean {
    const { token } = this;
    return token !== undefined && authorization !== undefined && isSame(authorization, bearer(token));
  }

  get sampleRate(): number {
    return this.#current()?.sampleRate ?? 0;
  }

  get token(): string | undefined {
    return this.#current()?.token;
  }

  #current(): Access | undefined {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#readAtMs < rereadMs) return this.#access;
    this.#readAtMs = nowMs;
    this.#access = read(this.#path);
    return this.#access;
  }
}

function read(path: string): Access | undefined {
  try {
    return statSync(path).size > limitBytes ? undefined : parseAccess(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Compares digests, which have equal lengths, so that the time does not depend on the texts. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
