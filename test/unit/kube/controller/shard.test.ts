/**
 * The hash that divides models among shards. It spreads models evenly. Its values must never change, so they are
 * compared with recorded values.
 */
import assert from 'node:assert/strict';
import { hashOf, isInShard } from '../../../../kube/controller/shard.ts';

describe('the shard of a model', () => {
  const golden: Readonly<Record<string, number>> = {
    'default/ranker': 0x01e44a4d,
    'ml/ranker': 0xd8853c97,
    'ml/ranker-1': 0x12acc895,
    'ml/ranker-2': 0x1709e811,
    'a/b': 0xa11ccf42,
    'team-a/embedder': 0xa8b62fa9,
    '': 0xab3e7c0b,
  };
  for (const [key, hash] of Object.entries(golden))
    it(`is the same in every version for '${key}'`, () => assert.equal(hashOf(key), hash));

  it('is one of N, and every model has exactly one', () => {
    for (const shards of [1, 2, 3, 7, 64])
      for (let i = 0; i < 500; i += 1) {
        const chosen = Array.from({ length: shards }, (_, index) => isInShard({ index, of: shards }, `default/m-${i}`));
        assert.equal(chosen.filter(Boolean).length, 1);
      }
  });

  const names: readonly { readonly name: string; readonly keyOf: (i: number) => string }[] = [
    { name: 'numbered models of one namespace', keyOf: (i) => `default/model-${i}` },
    { name: 'padded numbers', keyOf: (i) => `default/${String(i).padStart(5, '0')}` },
    { name: 'one model in each namespace', keyOf: (i) => `team-${i}/ranker` },
    { name: 'ten namespaces', keyOf: (i) => `ns-${i % 10}/m${Math.floor(i / 10)}` },
  ];
  for (const { name, keyOf } of names) {
    it(`is evenly spread over ${name}`, () => {
      const models = 3000;
      for (const shards of [2, 3, 4, 5, 8]) {
        const counts = Array.from({ length: shards }, () => 0);
        for (let i = 0; i < models; i += 1) {
          const index = hashOf(keyOf(i)) % shards;
          counts[index] = (counts[index] ?? 0) + 1;
        }
        // Allow five standard deviations of a shard's count when each model gets its shard at random.
        const most = 5 * Math.sqrt((models / shards) * (1 - 1 / shards));
        for (const count of counts)
          assert.ok(Math.abs(count - models / shards) <= most, `${shards} shards: ${counts.join(' ')}`);
      }
    });
  }
});
