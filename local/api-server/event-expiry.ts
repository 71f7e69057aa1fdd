/**
 * Deletes Events after an hour, as kube-apiserver does, so that the server does not fill up with Events.
 * Owns: the time at which an Event expires, which is an hour after its last write.
 */
import type { ApiDeps } from './core.ts';
import type { StoredObject } from '../objects.ts';
import { stringAt } from '../../lib/json.ts';
import { storeKeyOf } from './store.ts';

const lifeMs = 3_600_000;
const sweepEveryMs = 60_000;

/** Starts to delete expired Events. @returns a function that stops it */
export function expireEvents(deps: ApiDeps): () => void {
  let end = (): void => {};
  const sweep = (): void => {
    const nowMs = deps.clock.now();
    for (const event of deps.store.list('events')) {
      if (nowMs - lastToldMs(event) > lifeMs)
        deps.store.remove('events', storeKeyOf(event.metadata.namespace, event.metadata.name));
    }
    end = deps.clock.after(sweepEveryMs, sweep);
  };
  sweep();
  return () => end();
}

/**
 * When an Event was last written. Each repetition, which increases the count or changes the series, keeps the Event for
 * another hour.
 */
function lastToldMs(event: StoredObject): number {
  const times = [
    event.metadata.creationTimestamp,
    stringAt(event, 'lastTimestamp'),
    stringAt(event, 'series', 'lastObservedTime'),
  ];
  const known = times.map((time) => Date.parse(time ?? '')).filter((ms) => !Number.isNaN(ms));
  return Math.max(...known);
}
