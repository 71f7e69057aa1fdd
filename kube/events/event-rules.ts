/**
 * Decides which occurrences become Kubernetes Events. The rules prevent a crash loop from filling the cluster's
 * storage.
 * Terms: An occurrence is something to report about an object; its note is a sentence.
 * Owns: three rules. Series: a repetition within six minutes only increases the count of an Event. A count of 2 is
 * written at once, a higher count once a minute at most. Similarity: after ten different notes for one object and
 * reason within ten minutes, further notes become one series. Token bucket: each object has 25 writes, then one in five
 * minutes. Warnings and occurrences with `keep` are exempt from the bucket.
 * Limits: remembers at most 4,096 series, 4,096 reasons and 4,096 buckets; the oldest are forgotten first.
 */
import type { Clock } from '../../lib/clock.ts';
import type { KubeObject } from '../../api/kube-object.ts';

export type Happening = {
  /** The object that the Event is about. */
  readonly about: KubeObject;
  readonly type: 'Normal' | 'Warning';
  /** The reason: one PascalCase word of a closed set. */
  readonly reason: string;
  /** What was done or tried: one PascalCase word. */
  readonly action: string;
  /** A sentence. */
  readonly note: string;
  /** True: the occurrence does not need a token of the object's bucket. Warnings never need one. */
  readonly keep?: boolean;
};

export type Ruling =
  | { readonly kind: 'write'; readonly key: string; readonly count: number; readonly happening: Happening }
  | { readonly kind: 'drop' };

export const seriesMs = 6 * 60_000;
const similarMs = 10 * 60_000;
const maxSimilar = 10;
const burst = 25;
const refillMs = 300_000;
/** A count of 3 or more is written only if the last write of the series is older than this. */
const rewriteMs = 60_000;
const maxRemembered = 4096;

type Series = { count: number; lastAt: number; writtenAt: number };
/**
 * The different notes for one object and reason since the time `since`. `combined` is the note that replaces all notes
 * after the tenth: the eleventh note, marked as an example.
 */
type Similar = { since: number; readonly notes: Set<string>; combined?: string };
type Bucket = { tokens: number; at: number };

export class EventRules {
  readonly #clock: Clock;
  readonly #series = new Map<string, Series>();
  readonly #similar = new Map<string, Similar>();
  readonly #buckets = new Map<string, Bucket>();
  #ended: string[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  judge(happening: Happening): Ruling {
    const now = this.#clock.monotonic();
    const told = this.#combined(happening, now);
    const key = keyOf(told, told.note);
    const known = this.#series.get(key);
    if (known !== undefined && now - known.lastAt < seriesMs) return this.#again(key, known, told, now);
    if (!this.#mayWrite(told, now)) return { kind: 'drop' };
    if (known !== undefined) this.#ended.push(key);
    remember(this.#series, key, { count: 1, lastAt: now, writtenAt: now }, (old) => this.#ended.push(old));
    return { kind: 'write', key, count: 1, happening: told };
  }

  /** Keys of series that have ended since the last call: the next occurrence starts a new Event. */
  takeEnded(): string[] {
    const ended = this.#ended;
    this.#ended = [];
    return ended;
  }

  #again(key: string, known: Series, happening: Happening, now: number): Ruling {
    known.count += 1;
    known.lastAt = now;
    // Write a count of 2 at once, because it shows that the Event is repeated. Higher counts can be written later.
    if (known.count > 2 && now - known.writtenAt < rewriteMs) return { kind: 'drop' };
    if (!this.#mayWrite(happening, now)) return { kind: 'drop' };
    known.writtenAt = now;
    return { kind: 'write', key, count: known.count, happening };
  }

  /**
   * Gives the eleventh and every later different note for one object and reason the same text, so that these
   * occurrences form one series.
   */
  #combined(happening: Happening, now: number): Happening {
    const key = keyOf(happening, '');
    const known = this.#similar.get(key);
    const similar =
      known !== undefined && now - known.since < similarMs ? known : { since: now, notes: new Set<string>() };
    if (similar !== known) remember(this.#similar, key, similar);
    if (similar.notes.size < maxSimilar) similar.notes.add(happening.note);
    if (similar.notes.has(happening.note)) return happening;
    similar.combined ??= `(combined from similar events) ${happening.note}`;
    return { ...happening, note: similar.combined };
  }

  #mayWrite(happening: Happening, now: number): boolean {
    return isKept(happening) || this.#take(subjectOf(happening), now);
  }

  #take(subject: string, now: number): boolean {
    const bucket = this.#buckets.get(subject) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
    const allowed = tokens >= 1;
    remember(this.#buckets, subject, { tokens: allowed ? tokens - 1 : tokens, at: now });
    return allowed;
  }
}

/** Whether the occurrence is exempt from the object's token bucket. */
export function isKept({ type, keep = false }: Happening): boolean {
  return keep || type === 'Warning';
}

function subjectOf({ about }: Happening): string {
  return about.metadata.uid ?? `${about.kind}/${about.metadata.namespace ?? ''}/${about.metadata.name}`;
}

function keyOf(happening: Happening, note: string): string {
  return [subjectOf(happening), happening.type, happening.reason, happening.action, note].join('\n');
}

/** Sets the key and makes it the newest one. When the map exceeds its limit, drops the oldest key. */
function remember<V>(map: Map<string, V>, key: string, value: V, onForgotten: (key: string) => void = () => {}): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maxRemembered) return;
  const [oldest] = map.keys();
  if (oldest === undefined) return;
  map.delete(oldest);
  onForgotten(oldest);
}
