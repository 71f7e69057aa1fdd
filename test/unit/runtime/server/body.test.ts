/** What all bodies under way may hold together. */
import assert from 'node:assert/strict';
import { BodyBudget } from '../../../../runtime/server/body.ts';

describe('BodyBudget', () => {
  it('refuses what does not fit beside the others', () => {
    const budget = new BodyBudget(() => 100);
    const [one, other] = [budget.lease(), budget.lease()];
    one.grow(60);
    assert.throws(() => other.grow(50), /hold their limit of 100 bytes/);
    other.grow(40);
    assert.equal(budget.heldBytes, 100);
  });

  it('lets one alone grow: its own limit has been checked', () => {
    const budget = new BodyBudget(() => 100);
    const alone = budget.lease();
    alone.grow(90);
    alone.grow(90);
    assert.equal(budget.heldBytes, 180);
  });

  it('takes back what ended, once', () => {
    const budget = new BodyBudget(() => 100);
    const lease = budget.lease();
    lease.grow(80);
    lease.end();
    lease.end();
    assert.equal(budget.heldBytes, 0);
    budget.lease().grow(100);
  });
});
