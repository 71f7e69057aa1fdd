/** Which requests are sampled (kept with their answers for another revision), for how long, and within which limits. */
import assert from 'node:assert/strict';
import { lapseMs, maxSamples, Sampler, samplerLimitBytes, spacingMs } from '../../../../runtime/sampling/sampler.ts';
import { maxTaken } from '../../../../runtime/sampling/sample.ts';
import { HandClock } from '../../../support/hand-clock.ts';

const mib = 2 ** 20;

type World = {
  clock: HandClock;
  sampler: Sampler;
  serve: (size?: number, answerSize?: number) => Promise<boolean>;
  chance: (next: number) => void;
};

function world(limitBytes = 8 * mib): World {
  const clock = new HandClock();
  let chance = 0;
  let served = 0;
  const sampler = new Sampler({ clock, random: () => chance, limitBytes });
  /** Offers one request with its answer, `spacingMs` after the previous one. @returns whether it was chosen */
  const serve = async (size = 10, answerSize = 10): Promise<boolean> => {
    await clock.advance(spacingMs);
    served += 1;
    const draft = sampler.on
      ? sampler.choose({ body: new Uint8Array(size).fill(served), jsonBytes: undefined })
      : undefined;
    draft?.answered({
      path: '/v2/models/m/infer',
      answer: { body: new Uint8Array(answerSize), jsonBytes: undefined },
      tier: 'default',
      sizeClass: 16,
    });
    return draft !== undefined;
  };
  return {
    clock,
    sampler,
    serve,
    chance: (next) => {
      chance = next;
    },
  };
}

/** Takes samples. Returns the first byte of each body, which is the number of the request. */
function numbers(sampler: Sampler, max = maxTaken): number[] {
  return sampler.take(max).samples.map(({ request }) => request.body[0] ?? -1);
}

describe('Sampler', () => {
  it('keeps no request before it is turned on', async () => {
    const { sampler, serve } = world();
    assert.equal(await serve(), false);
    sampler.ask(1);
    assert.equal(await serve(), true);
    assert.deepEqual(sampler.held, { samples: 1, bytes: 20 });
  });

  it('keeps the requested share of requests', async () => {
    const { sampler, serve, chance } = world();
    sampler.ask(0.05);
    chance(0.0499);
    assert.equal(await serve(), true);
    chance(0.05);
    assert.equal(await serve(), false);
  });

  it('copies bodies, because handlers transfer them', () => {
    const { sampler } = world();
    sampler.ask(1);
    const body = new Uint8Array([7, 8]);
    sampler.choose({ body, jsonBytes: undefined })?.answered({
      path: '/v1/embeddings',
      answer: { body: new Uint8Array(0), jsonBytes: undefined },
      tier: 'default',
      sizeClass: 2,
    });
    structuredClone(body.buffer, { transfer: [body.buffer] });
    assert.deepEqual([...sampler.take(1).samples[0]!.request.body], [7, 8]);
  });

  it('returns each sample once, oldest first', async () => {
    const { sampler, serve } = world();
    sampler.ask(1);
    for (let i = 0; i < 5; i += 1) await serve();
    assert.deepEqual(
      [numbers(sampler, 2), numbers(sampler, 2), numbers(sampler, 2), numbers(sampler, 2)],
      [[1, 2], [3, 4], [5], []],
    );
    assert.deepEqual(sampler.held, { samples: 0, bytes: 0 });
  });

  it('leaves time between two samples, to limit copying', async () => {
    const { sampler, serve, clock } = world();
    sampler.ask(1);
    assert.equal(await serve(), true);
    await clock.advance(-1);
    assert.equal(sampler.choose({ body: new Uint8Array(1), jsonBytes: undefined }), undefined);
  });

  it('keeps the newest when there are too many', async () => {
    const { sampler, serve } = world();
    sampler.ask(1);
    for (let i = 0; i < maxSamples + 3; i += 1) {
      sampler.ask(1);
      await serve();
    }
    assert.equal(sampler.held.samples, maxSamples);
    assert.deepEqual(numbers(sampler, 1), [4]);
  });

  it('stays within its limit of bytes, including requests without an answer yet', async () => {
    const { sampler, serve, clock } = world(mib);
    for (let i = 0; i < 20; i += 1) {
      sampler.ask(1);
      await serve(mib / 16, mib / 16 - 1);
      assert.ok(sampler.held.bytes <= mib);
    }
    assert.equal(sampler.held.samples, 8);
    const drafts = [];
    for (let i = 0; i < 20; i += 1) {
      await clock.advance(spacingMs);
      drafts.push(sampler.choose({ body: new Uint8Array(mib / 8), jsonBytes: undefined }));
    }
    assert.equal(drafts.filter((draft) => draft !== undefined).length, 8);
    for (const draft of drafts) draft?.dropped();
  });

  it('drops samples that are too large, and reports their number once', async () => {
    const { sampler, serve } = world(mib);
    sampler.ask(1);
    await serve(mib / 8 + 1, 1);
    await serve(1, mib / 8);
    assert.deepEqual([sampler.take(5).tooLarge, sampler.take(5).tooLarge, sampler.held.bytes], [2, 0, 0]);
  });

  it('drops a request without an answer', async () => {
    const { sampler, clock } = world();
    sampler.ask(1);
    const draft = sampler.choose({ body: new Uint8Array(9), jsonBytes: undefined });
    assert.equal(sampler.held.bytes, 9);
    draft?.dropped();
    draft?.dropped();
    assert.deepEqual(sampler.held, { samples: 0, bytes: 0 });
    await clock.advance(0);
  });

  it('drops everything when it is turned off, also current requests', async () => {
    const { sampler, serve, clock } = world();
    sampler.ask(1);
    await serve();
    await clock.advance(spacingMs);
    const draft = sampler.choose({ body: new Uint8Array(9), jsonBytes: undefined });
    sampler.ask(0);
    assert.equal(sampler.held.samples, 0);
    sampler.ask(1);
    draft?.answered({
      path: '/v1/embeddings',
      answer: { body: new Uint8Array(0), jsonBytes: undefined },
      tier: 'default',
      sizeClass: 2,
    });
    assert.deepEqual(sampler.held, { samples: 0, bytes: 0 });
  });

  it('turns itself off when the sidecar stops asking', async () => {
    const { sampler, serve, clock } = world();
    sampler.ask(1);
    await serve();
    await clock.advance(lapseMs - 2 * spacingMs);
    assert.equal(sampler.on, true);
    await clock.advance(2 * spacingMs);
    assert.deepEqual([sampler.on, sampler.held.samples], [false, 0]);
  });

  it('keeps a limit that follows from the memory limit', () => {
    assert.deepEqual(
      [samplerLimitBytes(undefined), samplerLimitBytes(64 * 2 ** 30), samplerLimitBytes(128 * mib)],
      [8 * mib, 8 * mib, 2 * mib],
    );
  });
});
