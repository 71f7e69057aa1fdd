/**
 * The token of this pod's revision, as the operator mounts it (api/access.ts).
 *
 * Owns:  reading the file again when it may have changed, and comparing what a request carries in constant time.
 * Rule:  without a readable file nobody is let in, and nothing is sampled: `serve` has none.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bearer, parseAccess, type Access } from '../../api/access.ts';
import { paths } from '../../api/names.ts';
import type { Clock } from '../../lib/clock.ts';

/** The kubelet replaces the file under a running pod, when a gate changes. */
const rereadMs = 2_000;
const limitBytes = 4_096;

export interface Door {
  /** Whether a request with this `authorization` header comes from who knows the revision's token. */
  isOpenTo(authorization: string | undefined): boolean;
  /** The most that may be sampled, 0..1. */
  readonly sampleRate: number;
  /** Undefined: this pod has none. */
  readonly token: string | undefined;
}

/** Nobody comes in. */
export const closedDoor: Door = { isOpenTo: () => false, sampleRate: 0, token: undefined };

export class AccessFile implements Door {
  readonly #path: string;
  readonly #clock: Clock;
  #readAtMs = -Infinity;
  #access: Access | undefined;

  /** @param configDir where the revision's ConfigMap is mounted */
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

/** Digests have one length, so that the time tells nothing of what was compared. */
function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
