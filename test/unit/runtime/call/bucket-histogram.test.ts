/**
 * BucketHistogram, the histogram of the model server's request path, has the same output as prom-client's histogram.
 */
import assert from 'node:assert/strict';
import { Histogram, Registry } from 'prom-client';
import { BucketHistogram } from '../../../../runtime/call/bucket-histogram.ts';

const shape = { name: 'a_seconds', help: 'A.', buckets: [0.1, 1, 10] };
const values = [0, 0.1, 0.100_1, 1, 9, 10, 10.5, 1e9];

function registryOf(): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ model: 'm' });
  return registry;
}

describe('BucketHistogram', () => {
  it("has the text and the JSON of prom-client's own histogram, with labels", async () => {
    const [wanted, made] = [registryOf(), registryOf()];
    const histogram = new Histogram({ ...shape, labelNames: ['stage'], registers: [wanted] });
    const histograms = new BucketHistogram({ ...shape, registry: made });
    const [decode, , infer] = ['decode', 'queue', 'infer'].map((stage) => histograms.series({ stage }));
    assert.equal(await made.metrics(), await wanted.metrics());
    for (const value of values) {
      histogram.observe({ stage: 'decode' }, value);
      decode?.observe(value);
    }
    histogram.observe({ stage: 'infer' }, 5);
    infer?.observe(5);
    assert.equal(await made.metrics(), await wanted.metrics());
    // prom-client adds the field `exemplar`, which is always null here.
    const sorted = (json: unknown): unknown =>
      JSON.parse(JSON.stringify(json), (key, value: unknown) => (key === 'exemplar' ? undefined : value));
    assert.deepEqual(sorted(await made.getMetricsAsJSON()), sorted(await wanted.getMetricsAsJSON()));
  });

  it('shows a series without labels before its first observation', async () => {
    const [wanted, made] = [registryOf(), registryOf()];
    const histogram = new Histogram({ ...shape, registers: [wanted] });
    const series = new BucketHistogram({ ...shape, registry: made }).series();
    assert.equal(await made.metrics(), await wanted.metrics());
    for (const value of values) {
      histogram.observe(value);
      series.observe(value);
    }
    assert.equal(await made.metrics(), await wanted.metrics());
  });
});
