import assert from 'node:assert/strict';
import { keptFields, type Keep } from '../../../../kube/cache/kept-fields.ts';

type Thing = {
  readonly name: string;
  readonly spec?: { readonly size?: number; readonly note?: string | null };
  readonly items?: readonly { readonly key: string; readonly value?: string }[];
};
const all: Keep<Thing> = { name: true, spec: true, items: true };
const spec = { size: 1, note: 'n' };

const rows: readonly {
  readonly name: string;
  readonly given: object;
  readonly keep: Keep<Thing>;
  readonly kept: object;
}[] = [
  { name: 'a field without an entry is dropped', given: { name: 'a', more: 1 }, keep: all, kept: { name: 'a' } },
  {
    name: 'a field with false is dropped',
    given: { name: 'a', spec },
    keep: { ...all, spec: false },
    kept: { name: 'a' },
  },
  {
    name: 'fields of a record are chosen one by one',
    given: { name: 'a', spec },
    keep: { ...all, spec: { size: true, note: false } },
    kept: { name: 'a', spec: { size: 1 } },
  },
  {
    name: 'fields of items are chosen one by one',
    given: { name: 'a', items: [{ key: 'k', value: 'v', more: 1 }] },
    keep: { ...all, items: [{ key: true, value: false }] },
    kept: { name: 'a', items: [{ key: 'k' }] },
  },
  {
    name: 'a function makes the part',
    given: { name: 'a', spec },
    keep: { ...all, spec: ({ size = 0 }) => ({ size: size + 1 }) },
    kept: { name: 'a', spec: { size: 2 } },
  },
  {
    name: 'a part for which the function returns nothing is absent',
    given: { name: 'a', spec },
    keep: { ...all, spec: () => undefined },
    kept: { name: 'a' },
  },
  {
    name: 'an absent part stays absent',
    given: { name: 'a' },
    keep: { ...all, spec: { size: true, note: true } },
    kept: { name: 'a' },
  },
  {
    name: 'null is kept',
    given: { name: 'a', spec: { note: null } },
    keep: { ...all, spec: { size: true, note: true } },
    kept: { name: 'a', spec: { note: null } },
  },
  {
    name: 'a part of another type than expected is kept',
    given: { name: 'a', items: 'none' },
    keep: { ...all, items: [{ key: true, value: true }] },
    kept: { name: 'a', items: 'none' },
  },
];

describe('fields that a cache keeps', () => {
  for (const { name, given, keep, kept } of rows)
    it(name, () => assert.deepEqual(keptFields<Thing>(given as Thing, keep), kept));

  it('must be named one by one: the compiler refuses a table without an entry', () => {
    // @ts-expect-error: `items` has no entry
    const table: Keep<Thing> = { name: true, spec: { size: true, note: true } };
    assert.deepEqual(keptFields<Thing>({ name: 'a', items: [] }, table), { name: 'a' });
  });

  it('share the parts that are kept as a whole', () => {
    assert.equal(keptFields<Thing>({ name: 'a', spec }, all).spec, spec);
  });
});
