/** The revision of a spec: a hash of everything that changes pods. It must stay the same in later versions. */
import assert from 'node:assert/strict';
import type { OnnxModelSpec } from '../../../../api/onnxmodel.ts';
import { revisionOf } from '../../../../operator/see/revision.ts';

const spec: OnnxModelSpec = { model: { uri: 'https://models.example/m.onnx' }, replicas: 1 };

describe('revisionOf', () => {
  it('is ten hex digits and equal in all versions of the operator', () => {
    assert.equal(revisionOf(spec), '665e022270');
  });

  // Operator 0.1.0 computed these revisions. If this version parsed quantities differently, its start would begin a
  // rollout of every model that has quantities.
  for (const [cpu, limit, revision] of [
    ['700m', '64.123456789123456Mi', '2498845f66'],
    ['1.0005', '1.5Gi', 'fd77368538'],
    ['1e3', '1e9', 'd940684066'],
    ['0.1', '100000k', '399c8bc6c4'],
    ['2', '9E', 'e2beb7b116'],
    // A quantity above the largest number of JavaScript is hashed as null.
    ['1', '1e999', '2871227b78'],
  ] as const) {
    it(`does not change for ${cpu} cores and ${limit} of memory`, () =>
      assert.equal(
        revisionOf({ ...spec, memory: { limit }, resources: { requests: { cpu }, limits: { cpu } } }),
        revision,
      ));
  }

  // prettier-ignore
  const same: readonly { name: string; one: Partial<OnnxModelSpec>; other: Partial<OnnxModelSpec> }[] = [
    { name: 'another number of replicas', one: { replicas: 1 }, other: { replicas: 9 } },
    { name: 'another progress deadline', one: {}, other: { rollout: { progressDeadline: '1m' } } },
    { name: 'an equal duration written differently', one: { warmup: { timeout: '1m' } },
      other: { warmup: { timeout: '60s' } } },
    { name: 'an equal memory limit written differently', one: { memory: { limit: '1Gi' } },
      other: { memory: { limit: '1024Mi' } } },
    { name: 'a memory limit as a number', one: { memory: { limit: '1Gi' } },
      other: { memory: { limit: 1_073_741_824 } } },
    { name: 'an equal CPU limit written differently', one: { resources: { limits: { cpu: '1000m' } } },
      other: { resources: { limits: { cpu: 1 } } } },
    { name: 'fields in another order', one: { batching: { maxBatchSize: 4, maxQueueDepth: 8 } },
      other: { batching: { maxQueueDepth: 8, maxBatchSize: 4 } } },
  ];
  for (const { name, one, other } of same)
    it(`is the same for ${name}`, () =>
      assert.equal(revisionOf({ ...spec, ...one }), revisionOf({ ...spec, ...other })));

  const different: readonly { name: string; other: Partial<OnnxModelSpec> }[] = [
    { name: 'another URI', other: { model: { uri: 'https://models.example/n.onnx' } } },
    {
      name: 'an explicit default, which a later change of the default must not affect',
      other: { batching: { maxBatchSize: 8 } },
    },
    { name: 'another order of providers', other: { execution: { providers: [{ name: 'CUDA' }, { name: 'CPU' }] } } },
    { name: 'a label of the pods', other: { template: { metadata: { labels: { team: 'a' } } } } },
  ];
  for (const { name, other } of different)
    it(`differs for ${name}`, () => assert.notEqual(revisionOf(spec), revisionOf({ ...spec, ...other })));
});
