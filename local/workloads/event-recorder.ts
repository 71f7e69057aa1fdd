/**
 * Records what happened to objects as Events, for `kubectl describe` and `kubectl get events`.
 * Owns: names and counts of Events. A repeated Event increases `count` instead of adding an object.
 * Limits: each recorder keeps its last 1000 Events and deletes older ones. Recording never throws, because an Event is
 * only information.
 */
import type { Clock } from '../../lib/clock.ts';
import type { StoredObject, Objects } from '../objects.ts';
import { toApiTime } from '../../api/conditions.ts';
import { eventsPath } from './resources.ts';

export type EventType = 'Normal' | 'Warning';

export interface LocalEventRecorder {
  record(about: StoredObject, type: EventType, reason: string, message: string): void;
}

const keptEvents = 1000;

/** @param component the reporting component: `kubelet`, `deployment-controller` … */
export function createEventRecorder(objects: Objects, clock: Clock, component: string): LocalEventRecorder {
  const names = new Map<string, { namespace: string; name: string }>();
  let serial = 0;

  const repeat = (place: { namespace: string; name: string }): boolean => {
    const stored = objects.get({ ...eventsPath, ...place });
    if (stored === undefined) return false;
    objects.update(eventsPath, {
      ...stored,
      count: Number(stored['count'] ?? 1) + 1,
      lastTimestamp: toApiTime(clock.now()),
    });
    return true;
  };

  const tell = (about: StoredObject, type: EventType, reason: string, message: string): void => {
    const key = JSON.stringify([about.metadata.uid, reason, message]);
    const known = names.get(key);
    if (known !== undefined && repeat(known)) return;
    serial += 1;
    const namespace = about.metadata.namespace ?? 'default';
    const place = {
      namespace,
      name: `${about.metadata.name.slice(0, 200)}.${clock.now().toString(16)}${serial.toString(16).padStart(4, '0')}`,
    };
    objects.create(
      eventsPath,
      newEvent({ about, type, reason, message, component, at: toApiTime(clock.now()), ...place }),
    );
    names.delete(key);
    names.set(key, place);
    for (const [oldest, oldPlace] of names) {
      if (names.size <= keptEvents) break;
      names.delete(oldest);
      objects.delete({ ...eventsPath, ...oldPlace });
    }
  };

  return {
    record(about, type, reason, message) {
      try {
        tell(about, type, reason, message.slice(0, 1024));
      } catch {
        // The Event is lost: its namespace may be terminating, or another writer may have written first.
      }
    },
  };
}

type NewEvent = {
  about: StoredObject;
  type: EventType;
  reason: string;
  message: string;
  component: string;
  at: string;
  namespace: string;
  name: string;
};

function newEvent({
  about,
  type,
  reason,
  message,
  component,
  at,
  namespace,
  name,
}: NewEvent): Parameters<Objects['create']>[1] {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { namespace, name },
    involvedObject: {
      apiVersion: about.apiVersion,
      kind: about.kind,
      name: about.metadata.name,
      uid: about.metadata.uid,
      resourceVersion: about.metadata.resourceVersion,
      ...(about.metadata.namespace === undefined ? {} : { namespace: about.metadata.namespace }),
    },
    type,
    reason,
    message,
    count: 1,
    firstTimestamp: at,
    lastTimestamp: at,
    source: { component },
    reportingComponent: component,
    reportingInstance: 'local',
  };
}
