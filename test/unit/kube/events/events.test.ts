/**
 * Which Events are written, counted, combined or dropped. A caller that reports an Event never gets an exception and
 * never waits.
 */
import assert from 'node:assert/strict';
import { silentLogger } from '../../../../lib/log.ts';
import { createRegistry } from '../../../../lib/metrics.ts';
import { EventRecorder, events, type EventObject, type Happening } from '../../../../kube/events/events.ts';
import { HandClock, settle } from '../../../support/hand-clock.ts';
import { MemoryKube, refusal } from '../../../support/memory-kube.ts';

const model = {
  apiVersion: 'onnx-operator.dev/v1alpha1',
  kind: 'OnnxModel',
  metadata: { name: 'ranker', namespace: 'ml', uid: 'u1', resourceVersion: '7' },
};

function happening(more: Partial<Happening> = {}): Happening {
  return {
    about: model,
    type: 'Warning',
    reason: 'ImagePullBackOff',
    action: 'Starting',
    note: 'cannot pull',
    ...more,
  };
}

function chatter(more: Partial<Happening> = {}): Happening {
  return happening({ type: 'Normal', ...more });
}

type World = {
  readonly kube: MemoryKube;
  readonly clock: HandClock;
  readonly recorder: EventRecorder;
  readonly written: () => Promise<string[]>;
};

function world(): World {
  const kube = new MemoryKube();
  const clock = new HandClock(Date.parse('2026-01-02T03:04:05.678Z'));
  const recorder = new EventRecorder({
    client: kube,
    clock,
    registry: createRegistry(),
    logger: silentLogger,
    controller: 'onnx-operator.dev/controller',
    instance: 'pod-1',
    random: () => 0,
  });
  const written = async (): Promise<string[]> =>
    (await kube.list(events, {})).items.map((event) => `${event.reason} ${event.note} x${event.series?.count ?? 1}`);
  return { kube, clock, recorder, written };
}

describe('EventRecorder', () => {
  it('writes an event as the events.k8s.io API wants it', async () => {
    const { kube, recorder } = world();
    recorder.say(happening());
    await settle();
    const [event] = (await kube.list(events, {})).items as EventObject[];
    assert.match(event!.metadata.name, /^ranker\.[0-9a-f]+$/);
    const { metadata: _, ...rest } = event!;
    assert.deepEqual(rest, {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      eventTime: '2026-01-02T03:04:05.678000Z',
      reportingController: 'onnx-operator.dev/controller',
      reportingInstance: 'pod-1',
      action: 'Starting',
      reason: 'ImagePullBackOff',
      note: 'cannot pull',
      type: 'Warning',
      regarding: {
        apiVersion: 'onnx-operator.dev/v1alpha1',
        kind: 'OnnxModel',
        name: 'ranker',
        namespace: 'ml',
        uid: 'u1',
        resourceVersion: '7',
      },
    });
  });

  it('counts up repetitions, at once the second time, then once a minute', async () => {
    const { kube, clock, recorder, written } = world();
    for (let i = 0; i < 3; i += 1) {
      recorder.say(happening());
      await clock.advance(1000);
    }
    assert.deepEqual(await written(), ['ImagePullBackOff cannot pull x2']);
    await clock.advance(60_000);
    recorder.say(happening());
    await settle();
    assert.deepEqual(await written(), ['ImagePullBackOff cannot pull x4']);
    assert.equal(kube.calls.create, 1);
  });

  it('begins a new event when the series has been over for six minutes', async () => {
    const { clock, recorder, written } = world();
    recorder.say(happening());
    await clock.advance(6 * 60_000);
    recorder.say(happening());
    await settle();
    assert.equal((await written()).length, 2);
  });

  it('begins a new event when the old one expired on the server', async () => {
    const { kube, recorder, written } = world();
    recorder.say(happening());
    await settle();
    const [event] = (await kube.list(events, {})).items;
    await kube.delete(events, event!.metadata);
    recorder.say(happening());
    await settle();
    assert.deepEqual(await written(), ['ImagePullBackOff cannot pull x2']);
  });

  it('combines the eleventh and later notes of one reason into one Event with the first note', async () => {
    const { recorder, written } = world();
    for (let i = 0; i < 20; i += 1) recorder.say(happening({ note: `pod ${i} cannot pull` }));
    await settle();
    const all = await written();
    assert.equal(all.length, 11);
    assert.match(all[10]!, /\(combined from similar events\) pod 10 cannot pull/);
  });

  it('writes 25 Events of an object at once and then one in five minutes', async () => {
    const { kube, clock, recorder } = world();
    for (let i = 0; i < 40; i += 1) recorder.say(chatter({ reason: `Reason${i}` }));
    await settle();
    assert.equal(kube.calls.create, 25);
    recorder.say(chatter({ about: { ...model, metadata: { ...model.metadata, uid: 'u2', name: 'other' } } }));
    await settle();
    assert.equal(kube.calls.create, 26);
    await clock.advance(300_000);
    for (let i = 40; i < 50; i += 1) recorder.say(chatter({ reason: `Reason${i}` }));
    await settle();
    assert.equal(kube.calls.create, 27);
  });

  it('writes warnings and occurrences with `keep` beyond that limit', async () => {
    const { kube, recorder, written } = world();
    for (let i = 0; i < 400; i += 1) recorder.say(chatter({ reason: `Reason${i}` }));
    await settle();
    assert.equal(kube.calls.create, 25);
    for (let i = 0; i < 40; i += 1) recorder.say(happening({ reason: `Failed${i}`, note: 'p95 is 52% above stable' }));
    recorder.say(chatter({ reason: 'Promoted', note: 'b takes over', keep: true }));
    await settle();
    const all = await written();
    assert.equal(all.length, 25 + 40 + 1);
    assert.ok(
      all.includes('Failed39 p95 is 52% above stable x1') && all.includes('Promoted b takes over x1'),
      all.join('\n'),
    );
  });

  it('drops other occurrences in favour of a warning when too many wait', async () => {
    const { kube, clock, recorder, written } = world();
    kube.fail('create', refusal(503, 'ServiceUnavailable', 'not now'), 3);
    for (let i = 0; i < 1100; i += 1)
      recorder.say(
        chatter({
          reason: `Reason${i}`,
          about: { ...model, metadata: { ...model.metadata, uid: `u${i}`, name: `m${i}` } },
        }),
      );
    recorder.say(happening({ reason: 'GoldenFailed', note: 'Cosine 0.31' }));
    await clock.advance(60_000);
    const all = await written();
    assert.ok(all.includes('GoldenFailed Cosine 0.31 x1'), `${all.length} were written`);
  });

  it('retries while the server is unreachable', async () => {
    const { kube, clock, recorder, written } = world();
    kube.fail('create', refusal(503, 'ServiceUnavailable', 'not now'), 3);
    recorder.say(happening());
    await clock.advance(30_000);
    assert.deepEqual(await written(), ['ImagePullBackOff cannot pull x1']);
  });

  it('does not retry an event that the server refuses', async () => {
    const { kube, clock, recorder } = world();
    kube.fail('create', refusal(403, 'Forbidden', 'namespace ml is being terminated'), 100);
    recorder.say(happening());
    await clock.advance(60_000);
    assert.equal(kube.calls.create, 1);
  });

  it('truncates text that is longer than the API allows', async () => {
    const { kube, recorder } = world();
    recorder.say(happening({ note: 'x'.repeat(5000) }));
    await settle();
    assert.equal((await kube.list(events, {})).items[0]?.note, `${'x'.repeat(1021)}…`);
  });

  it('limits the bytes of a note, not its characters', async () => {
    const { kube, recorder } = world();
    recorder.say(happening({ note: 'ü'.repeat(600) }));
    await settle();
    const note = (await kube.list(events, {})).items[0]?.note ?? '';
    assert.equal(note, `${'ü'.repeat(510)}…`);
    assert.ok(Buffer.byteLength(note) <= 1024);
  });

  it('writes the waiting occurrences before it closes, and drops later ones', async () => {
    const { recorder, written } = world();
    recorder.say(happening());
    recorder.say(happening({ reason: 'Other' }));
    await recorder.close(5000);
    recorder.say(happening({ reason: 'Late' }));
    await settle();
    assert.equal((await written()).length, 2);
  });

  it('drops what waits when closing takes too long', async () => {
    const { kube, clock, recorder } = world();
    kube.fail('create', refusal(503, 'ServiceUnavailable', 'not now'), 1000);
    for (let i = 0; i < 20; i += 1) recorder.say(happening({ reason: `Reason${i}` }));
    const closed = recorder.close(2000);
    await clock.advance(2000);
    await closed;
    assert.ok(kube.calls.create <= 5);
  });

  it('holds at most a thousand waiting occurrences', async () => {
    const { kube, recorder } = world();
    const door = Promise.withResolvers<void>();
    kube.fail('create', () => door.promise, 1);
    for (let i = 0; i < 3000; i += 1)
      recorder.say(happening({ about: { ...model, metadata: { ...model.metadata, uid: `u${i}` } } }));
    await settle();
    door.resolve();
    while (kube.calls.create < 1000) await settle();
    await settle();
    assert.ok(kube.calls.create <= 1001, `${kube.calls.create}`);
  });
});
