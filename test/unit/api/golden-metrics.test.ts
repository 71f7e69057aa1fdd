/** The table of golden metrics, the schema, the runtime and the docs have the same metrics. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  agreesFrom,
  defaultLimitOf,
  goldenMetricNames,
  goldenMetrics,
  liveMetricNames,
} from '../../../api/golden-metrics.ts';
import { openApiSchema } from '../../../api/onnxmodel.ts';
import { runtimeConfigSchema } from '../../../api/runtime-config.ts';

const page = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'golden-sets.md'), 'utf8');
const gates = openApiSchema('published').properties?.['spec']?.properties?.['rollout']?.properties?.['gates'];
const config = runtimeConfigSchema.json('published').properties?.['golden'];

describe('golden metrics', () => {
  it('are the same as in the schema', () =>
    assert.deepEqual(gates?.properties?.['golden']?.properties?.['metric']?.enum, goldenMetricNames));
  it("are the same as in a pod's config", () =>
    assert.deepEqual(config?.properties?.['metric']?.enum, goldenMetricNames));
  it('for live answers are the same as in the schema', () =>
    assert.deepEqual(gates?.properties?.['quality']?.properties?.['metric']?.enum, liveMetricNames));

  for (const metric of goldenMetricNames) {
    const row = goldenMetrics[metric];

    it(`${metric} has a limit, or says why it needs one`, () =>
      assert.equal(row.limit === undefined, row.needed !== undefined));
    it(`${metric} has a row in docs/golden-sets.md with its limit`, () => {
      const line = page.split('\n').find((each) => each.startsWith(`| \`${metric}\` |`)) ?? '';
      assert.ok(line.includes(row.better === 'Lower' ? '`max`' : '`min`'), line);
      assert.ok(line.includes(row.limit === undefined ? 'no default' : `, ${row.limit} |`), line);
    });
  }

  it('limit scores from below and errors from above', () => {
    assert.deepEqual(
      [defaultLimitOf('Cosine'), defaultLimitOf('WordErrorRate'), defaultLimitOf('MaxAbsError')],
      [{ min: 0.99 }, { max: 0.05 }, {}],
    );
  });
  it('say from which value on live answers agree', () =>
    assert.deepEqual(liveMetricNames.map(agreesFrom), [0.99, 1, 1]));
});
