/**
 * Fairness of the schedule of pulls (requests for pods' reports): pods of other models cannot delay a healthy pod, and
 * one namespace never has all slots. A slot allows one pull at a time.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DueHeap } from '../../../../lib/due-heap.ts';
import { pullLimits } from '../../../../operator/reports/puller.ts';
import { paceMs, pauseMs } from '../../../../operator/reports/pace.ts';
import { PullSchedule, type PullTurn } from '../../../../operator/reports/schedule.ts';

/** A pod of kind `answers` always answers, `silent` never, and `moody` every second time. */
type Behaviour = 'answers' | 'silent' | 'moody';
type Group = { readonly model: string; readonly pods: number; readonly behaviour: Behaviour };
type Pulled = { readonly uid: string; readonly atMs: number };

const answerMs = 20;

/** Runs a schedule with pods at the pace of a rollout. */
class Simulation {
  readonly pulls: Pulled[] = [];
  readonly most = { slots: 0, unheard: 0, namespace: 0, namespaceUnheard: 0 };
  lagMs = 0;
  readonly #schedule = new PullSchedule(pullLimits);
  readonly #pods = new Map<
    string,
    { readonly behaviour: Behaviour; readonly namespace: string; misses: number; asked: number }
  >();
  readonly #ends = new DueHeap<{ readonly turn: PullTurn; readonly begunMs: number }>();
  readonly #running = new Map<PullTurn, string>();
  #nowMs = 0;

  join({ model, pods, behaviour }: Group): void {
    for (let i = 0; i < pods; i += 1) {
      const uid = `${model}#${i}`;
      this.#pods.set(uid, { behaviour, namespace: model.split('/')[0] ?? '', misses: 0, asked: 0 });
      this.#schedule.add(uid, model, this.#nowMs);
    }
  }

  runUntil(endMs: number): void {
    for (;;) {
      this.#begin();
      const nextMs = Math.min(this.#ends.first()?.dueMs ?? Infinity, this.#schedule.nextMs());
      if (nextMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, nextMs);
      while ((this.#ends.first()?.dueMs ?? Infinity) <= this.#nowMs) this.#end(this.#ends.take()!.item);
    }
    this.#nowMs = endMs;
  }

  /** The longest time without a pull of the pod, from `joinedMs` to the end. */
  longestGapMs(uid: string, joinedMs: number): number {
    const times = [joinedMs, ...this.pulls.filter((pull) => pull.uid === uid).map(({ atMs }) => atMs), this.#nowMs];
    return Math.max(...times.slice(1).map((atMs, i) => atMs - times[i]!));
  }

  #begin(): void {
    for (let turn = this.#schedule.take(this.#nowMs); turn !== undefined; turn = this.#schedule.take(this.#nowMs)) {
      const pod = this.#pods.get(turn.uid)!;
      pod.asked += 1;
      this.pulls.push({ uid: turn.uid, atMs: this.#nowMs });
      this.#running.set(turn, pod.namespace);
      this.#ends.add(this.#nowMs + (this.#answers(turn.uid) ? answerMs : pullLimits.pullMs), {
        turn,
        begunMs: this.#nowMs,
      });
      this.#measure(pod.namespace);
    }
    this.lagMs = Math.max(this.lagMs, this.#schedule.lagMs(this.#nowMs));
  }

  #answers(uid: string): boolean {
    const { behaviour, asked } = this.#pods.get(uid)!;
    return behaviour === 'answers' || (behaviour === 'moody' && asked % 2 === 1);
  }

  #end({ turn, begunMs }: { readonly turn: PullTurn; readonly begunMs: number }): void {
    const pod = this.#pods.get(turn.uid)!;
    pod.misses = this.#answers(turn.uid) ? 0 : pod.misses + 1;
    this.#running.delete(turn);
    const dueMs =
      this.#nowMs + pauseMs({ pace: 'rollout', isReady: true, misses: pod.misses, ageMs: 0, report: { ready: true } });
    this.#schedule.done(turn, {
      nowMs: this.#nowMs,
      spentMs: this.#nowMs - begunMs,
      dueMs,
      lane: pod.misses > 0 ? 'silent' : 'heard',
    });
  }

  #measure(namespace: string): void {
    const turns = [...this.#running.keys()];
    const mine = turns.filter((turn) => this.#running.get(turn) === namespace);
    const unheard = (all: readonly PullTurn[]): number => all.filter(({ lane }) => lane !== 'heard').length;
    this.most.slots = Math.max(this.most.slots, turns.length);
    this.most.unheard = Math.max(this.most.unheard, unheard(turns));
    this.most.namespace = Math.max(this.most.namespace, mine.length);
    this.most.namespaceUnheard = Math.max(this.most.namespaceUnheard, unheard(mine));
  }
}

const hostile = fc.array(
  fc.record({
    model: fc
      .tuple(fc.constantFrom('evil', 'worse', 'victim', 'a', 'b', 'c', 'd', 'e', 'f'), fc.constantFrom('x', 'y', 'z'))
      .map((parts) => parts.join('/')),
    pods: fc.integer({ min: 1, max: 60 }),
    behaviour: fc.constantFrom<Behaviour>('silent', 'moody', 'answers'),
  }),
  { minLength: 1, maxLength: 12 },
);

describe('the schedule of pulls', () => {
  it('pulls every healthy pod within two intervals, with any pods of other models', () => {
    fc.assert(
      fc.property(
        hostile,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 20_000 }),
        (others, pods, joinedMs) => {
          const simulation = new Simulation();
          for (const group of others) simulation.join(group);
          simulation.runUntil(joinedMs);
          simulation.join({ model: 'victim/m', pods, behaviour: 'answers' });
          simulation.runUntil(joinedMs + 40_000);
          for (let i = 0; i < pods; i += 1)
            assert.ok(
              simulation.longestGapMs(`victim/m#${i}`, joinedMs) <= 2 * paceMs.rollout,
              `pod ${i}: ${simulation.longestGapMs(`victim/m#${i}`, joinedMs)} ms`,
            );
        },
      ),
      { numRuns: 40 },
    );
  });

  it('respects its limits, and never gives one namespace all slots', () => {
    fc.assert(
      fc.property(hostile, (groups) => {
        const simulation = new Simulation();
        for (const group of groups) simulation.join(group);
        simulation.runUntil(20_000);
        const { slots, unheard, namespace, namespaceUnheard } = simulation.most;
        assert.ok(
          slots <= pullLimits.slots &&
            unheard <= pullLimits.unheardSlots &&
            namespace <= pullLimits.namespaceSlots &&
            namespaceUnheard <= pullLimits.namespaceUnheardSlots,
        );
      }),
      { numRuns: 20 },
    );
  });

  it('pulls healthy pods on time despite a thousand silent pods of the same namespace', () => {
    const simulation = new Simulation();
    simulation.join({ model: 'victim/m', pods: 5, behaviour: 'answers' });
    simulation.runUntil(1_000);
    const early = [...Array(5).keys()].map((i) => `victim/m#${i}`);
    for (let i = 0; i < 10; i += 1) simulation.join({ model: `victim/dead-${i}`, pods: 100, behaviour: 'silent' });
    simulation.runUntil(61_000);
    for (const uid of early)
      assert.ok(simulation.longestGapMs(uid, 0) <= 5_100, `${simulation.longestGapMs(uid, 0)} ms`);
  });

  it('gives a silent pod every fourth turn when other pods of its model are always due', () => {
    const schedule = new PullSchedule({
      slots: 1,
      unheardSlots: 1,
      namespaceSlots: 1,
      namespaceUnheardSlots: 1,
      pullMs: 2_000,
    });
    for (const uid of ['silent', 'a', 'b', 'c']) schedule.add(uid, 'ns/m', 0);
    const asked: string[] = [];
    for (let nowMs = 0; nowMs < 40; nowMs += 1) {
      const turn = schedule.take(nowMs) ?? assert.fail('no turn');
      asked.push(turn.uid);
      schedule.done(turn, { nowMs, spentMs: 0, dueMs: nowMs, lane: turn.uid === 'silent' ? 'silent' : 'heard' });
    }
    const turns = asked.filter((uid) => uid === 'silent').length;
    assert.ok(turns >= 9 && turns <= 11, `${turns} of 40`);
  });

  it('pulls every silent pod', () => {
    const simulation = new Simulation();
    simulation.join({ model: 'evil/a', pods: 40, behaviour: 'silent' });
    simulation.runUntil(60_000);
    assert.equal(new Set(simulation.pulls.map(({ uid }) => uid)).size, 40);
  });

  it('gives two namespaces with many silent pods the same number of turns', () => {
    const simulation = new Simulation();
    simulation.join({ model: 'evil/a', pods: 400, behaviour: 'silent' });
    simulation.join({ model: 'few/a', pods: 30, behaviour: 'silent' });
    simulation.runUntil(10_000);
    const turns = (namespace: string): number => simulation.pulls.filter(({ uid }) => uid.startsWith(namespace)).length;
    assert.equal(turns('evil'), turns('few'));
  });

  it('keeps the used time of a namespace when its models are deleted and created again', () => {
    const schedule = new PullSchedule({
      slots: 1,
      unheardSlots: 1,
      namespaceSlots: 1,
      namespaceUnheardSlots: 1,
      pullMs: 2_000,
    });
    schedule.add('e1', 'evil/a', 0);
    const turn = schedule.take(0) ?? assert.fail('no turn');
    schedule.done(turn, { nowMs: 2_000, spentMs: 2_000, dueMs: 4_000, lane: 'silent' });
    schedule.remove('e1', 2_000);
    schedule.add('e2', 'evil/b', 2_000);
    schedule.add('v1', 'victim/m', 2_001);
    assert.equal(schedule.take(2_001)?.uid, 'v1');
  });

  it('frees the slots of a pod that was removed during its pull, also when its uid was added again', () => {
    const schedule = new PullSchedule({
      slots: 1,
      unheardSlots: 1,
      namespaceSlots: 1,
      namespaceUnheardSlots: 1,
      pullMs: 2_000,
    });
    schedule.add('a', 'ns/m', 0);
    const turn = schedule.take(0) ?? assert.fail('no turn');
    schedule.remove('a', 1);
    schedule.add('a', 'ns/m', 1);
    assert.equal(schedule.take(1), undefined);
    schedule.done(turn, { nowMs: 2, spentMs: 2, dueMs: 2, lane: 'heard' });
    assert.equal(schedule.take(2)?.uid, 'a');
    assert.deepEqual([schedule.size, schedule.take(1e9)], [1, undefined]);
  });

  it('knows when the next pod is due, and the lag', () => {
    const schedule = new PullSchedule({ ...pullLimits, slots: 1 });
    assert.deepEqual([schedule.nextMs(), schedule.lagMs(0)], [Infinity, 0]);
    schedule.add('a', 'ns/m', 100);
    schedule.add('b', 'ns/m', 100);
    const turn = schedule.take(100) ?? assert.fail('no turn');
    assert.deepEqual([schedule.take(100), schedule.nextMs(), schedule.lagMs(1_100)], [undefined, Infinity, 1_000]);
    schedule.done(turn, { nowMs: 1_100, spentMs: 1_000, dueMs: 6_100, lane: 'heard' });
    assert.equal(schedule.nextMs(), 6_100);
    schedule.hasten('a', 3_000);
    schedule.hasten('a', 5_000);
    assert.equal(schedule.nextMs(), 3_000);
  });

  it('pulls five thousand healthy pods of five namespaces despite five thousand silent pods of five others', () => {
    const simulation = new Simulation();
    for (let i = 0; i < 100; i += 1)
      simulation.join({ model: `ns-${i % 10}/m-${i}`, pods: 100, behaviour: i % 2 === 0 ? 'silent' : 'answers' });
    simulation.runUntil(20_000);
    const asked = new Set(simulation.pulls.map(({ uid }) => uid));
    for (let i = 1; i < 100; i += 2)
      for (let pod = 0; pod < 100; pod += 1) assert.ok(asked.has(`ns-${i % 10}/m-${i}#${pod}`), `m-${i}#${pod}`);
  });
});

describe('DueHeap', () => {
  it('returns all items in the order of time', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 50 }))), (moves) => {
        const heap = new DueHeap<number>();
        let model: number[] = [];
        for (const [isTaken, dueMs] of moves) {
          if (!isTaken) {
            heap.add(dueMs, dueMs);
            model = [...model, dueMs].sort((a, b) => a - b);
            continue;
          }
          assert.equal(heap.take()?.item, model.shift());
        }
        heap.prune(({ item }) => item % 2 === 0);
        model = model.filter((item) => item % 2 === 0);
        assert.equal(heap.size, model.length);
        while (heap.size > 0) assert.equal(heap.take()?.item, model.shift());
        assert.deepEqual([heap.take(), heap.first(), model], [undefined, undefined, []]);
      }),
    );
  });
});
