/** Expiry of Events. */
import assert from 'node:assert/strict';
import { createCore } from '../../../../local/api-server/core.ts';
import { expireEvents } from '../../../../local/api-server/event-expiry.ts';
import { HandClock } from '../../../support/hand-clock.ts';

describe('expireEvents', () => {
  it('deletes an Event an hour after its last write', async () => {
    const clock = new HandClock();
    const core = createCore({ clock });
    const events = { apiVersion: 'v1', plural: 'events' };
    const involvedObject = { kind: 'Pod', name: 'p', namespace: 'default' };
    for (const name of ['once', 'again'])
      core.objects.create(events, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name, namespace: 'default' },
        involvedObject,
        reason: 'R',
        message: 'm',
        type: 'Normal',
      });
    const end = expireEvents(core);
    await clock.advance(40 * 60_000);
    const again = core.objects.get({ ...events, namespace: 'default', name: 'again' });
    assert.ok(again !== undefined);
    core.objects.update(events, { ...again, lastTimestamp: new Date(clock.now()).toISOString() });
    await clock.advance(25 * 60_000);
    assert.deepEqual(
      core.objects.list(events).map((event) => event.metadata.name),
      ['again'],
    );
    await clock.advance(60 * 60_000);
    assert.deepEqual(core.objects.list(events), []);
    end();
    assert.equal(clock.pending, 0);
  });
});
