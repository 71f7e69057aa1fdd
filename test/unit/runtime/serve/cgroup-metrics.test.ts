/** Metrics of the container's memory: only what the kernel reports. */
import assert from 'node:assert/strict';
import { Registry } from 'prom-client';
import { collectCgroup } from '../../../../runtime/serve/cgroup-metrics.ts';

async function metricsOf(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const registry = new Registry();
  collectCgroup(registry, (path) => files[path]);
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

describe('collectCgroup', () => {
  it('reports what the kernel reports', async () =>
    assert.deepEqual(
      await metricsOf({
        '/proc/self/cgroup': '0::/\n',
        '/sys/fs/cgroup/memory.max': '1024\n',
        '/sys/fs/cgroup/memory.pressure': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n',
      }),
      ['onnx_runtime_cgroup_memory_max_bytes 1024', 'onnx_runtime_cgroup_memory_pressure_some_seconds 1.5'],
    ));
  it('reports nothing without a cgroup', async () => assert.deepEqual(await metricsOf({}), []));
});
