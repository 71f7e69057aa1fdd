/** The memory budget of bodies and answers that are in transfer, and the speed at which clients must send and read. */
import assert from 'node:assert/strict';
import { AppError } from '../../../../../api/errors.ts';
import { Transfers } from '../../../../../runtime/transport/http/transfers.ts';
import { HandClock } from '../../../../support/hand-clock.ts';

const mib = 2 ** 20;
const full = (error: unknown): boolean => error instanceof AppError && error.code === 'BODIES_FULL';

function world(limitBytes = 100 * mib) {
  const clock = new HandClock();
  const transfers = new Transfers({ limitBytes: () => limitBytes, clock });
  /** A body of `bytes` bytes that is still arriving. */
  const coming = (bytes: number) => {
    const lease = transfers.lease();
    const cuts: number[] = [];
    const watch = lease.watch(() => cuts.push(clock.now()));
    watch.moved(bytes);
    lease.grow(bytes);
    return { lease, watch, cuts };
  };
  return { clock, transfers, coming };
}

describe('the budget of transfers', () => {
  it('refuses a body that does not fit in addition to the others', () => {
    const { transfers } = world();
    const [one, other] = [transfers.lease(), transfers.lease()];
    one.grow(60 * mib);
    assert.throws(() => other.grow(50 * mib), full);
    other.grow(10 * mib);
    assert.equal(transfers.heldBytes, 70 * mib);
  });

  it('reserves a quarter of the budget for small bodies', () => {
    const { transfers } = world();
    transfers.lease().grow(70 * mib);
    assert.throws(() => transfers.lease().grow(6 * mib), full);
    for (let count = 0; count < 100; count += 1) transfers.lease().grow(mib / 4);
  });

  it('lets the only transfer grow without a limit, which body.ts checks', () => {
    const { transfers } = world();
    const alone = transfers.lease();
    alone.grow(90 * mib);
    alone.grow(90 * mib);
    assert.equal(transfers.heldBytes, 180 * mib);
  });

  it('releases an ended lease once, and ignores later charges to it', () => {
    const { transfers } = world();
    const lease = transfers.lease();
    lease.grow(70 * mib);
    lease.end();
    lease.end();
    lease.take(mib);
    assert.equal(transfers.heldBytes, 0);
  });

  it('neither cuts another transfer for an ended lease, nor refuses it', async () => {
    const { clock, transfers, coming } = world();
    const slow = coming(70 * mib);
    const lease = transfers.lease();
    lease.end();
    await clock.advance(2000);
    lease.grow(50 * mib);
    assert.deepEqual(slow.cuts, []);
    assert.equal(transfers.heldBytes, 70 * mib);
  });

  it('charges an existing answer even above the limit', () => {
    const { transfers } = world();
    transfers.lease().grow(70 * mib);
    transfers.lease().take(70 * mib);
    assert.equal(transfers.heldBytes, 140 * mib);
  });
});

describe('the pace of transfers', () => {
  const paces: readonly { readonly name: string; readonly bytesASecond: number; readonly cut: boolean }[] = [
    { name: 'cuts a transfer that stopped', bytesASecond: 0, cut: true },
    { name: 'cuts a transfer below the minimum pace', bytesASecond: 1000, cut: true },
    { name: 'keeps a slow transfer above the minimum pace', bytesASecond: 2000, cut: false },
  ];
  for (const { name, bytesASecond, cut } of paces) {
    it(name, async () => {
      const { clock, transfers, coming } = world();
      const { watch, cuts } = coming(mib);
      for (let second = 0; second < 8; second += 1) {
        await clock.advance(1000);
        watch.moved(bytesASecond);
      }
      assert.equal(cuts.length, cut ? 1 : 0);
      assert.equal(transfers.heldBytes, cut ? 0 : mib);
    });
  }

  it('does not check the pace of a transfer that does not wait for its client', async () => {
    const { clock, coming } = world();
    const { watch, cuts } = coming(mib);
    watch.done();
    await clock.advance(60_000);
    assert.deepEqual(cuts, []);
  });

  it('sets no timer while there is no transfer', async () => {
    const { clock, coming } = world();
    coming(1).watch.done();
    await clock.advance(1000);
    assert.equal(clock.pending, 0);
  });

  it('restarts the measurement when the thread was blocked', async () => {
    class HeldUpClock extends HandClock {
      lateMs = 0;
      override monotonic(): number {
        return super.monotonic() + this.lateMs;
      }
    }
    const clock = new HeldUpClock();
    const transfers = new Transfers({ limitBytes: () => mib, clock });
    let cuts = 0;
    transfers.lease().watch(() => {
      cuts += 1;
    });
    clock.lateMs = 20_000;
    await clock.advance(3000);
    assert.equal(cuts, 0);
    await clock.advance(5000);
    assert.equal(cuts, 1);
  });

  it('cuts the slowest transfer when another body needs room, and keeps fast ones', async () => {
    const { clock, transfers, coming } = world();
    const [stalled, trickling, moving] = [coming(20 * mib), coming(25 * mib), coming(25 * mib)];
    for (let second = 0; second < 2; second += 1) {
      await clock.advance(1000);
      trickling.watch.moved(5000);
      moving.watch.moved(mib);
    }
    const lease = transfers.lease();
    lease.grow(20 * mib);
    assert.deepEqual(
      [stalled, trickling, moving].map(({ cuts }) => cuts.length),
      [1, 0, 0],
    );
    lease.grow(20 * mib);
    assert.deepEqual(
      [stalled, trickling, moving].map(({ cuts }) => cuts.length),
      [1, 1, 0],
    );
    assert.throws(() => lease.grow(20 * mib), full);
    assert.equal(transfers.heldBytes, 65 * mib);
  });
});
