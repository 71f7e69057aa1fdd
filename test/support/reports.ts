/** A base report for tests: the pod serves, and every field is set. */
import type { Report } from '../../api/report.ts';

export const fullReport: Report = {
  schema: 1,
  bootId: 'boot-1',
  seq: 41,
  revision: '6c9f01ab2d',
  model: { digest: `sha256:${'ab'.repeat(32)}`, precision: 'Source' },
  providers: { requested: ['CPU'], actual: [{ provider: 'CPU', nodes: 1, time: 1 }] },
  ready: true,
  state: 'ready',
  warmup: { done: 20, wanted: 20 },
  traffic: [
    {
      tier: 'interactive',
      sizeClass: 64,
      latency: { base: 1e-4, growth: 1.02, counts: { 250: 12, 251: 3 } },
      ok: 15,
      errors: { invalid: 1 },
      shed: 0,
    },
  ],
  memory: { limitBytes: 512 << 20, anonymousBytes: 150 << 20, peakBytes: 190 << 20, estimateBytes: 140 << 20 },
  queue: { depth: 0, oldestMs: 0 },
  eventLoopLagMs: { p50: 0.1, p99: 1.5, max: 4 },
  cpuThrottledSeconds: 0.25,
  node: { cpuFeatures: ['avx2', 'avx512_vnni'], cores: 2 },
};
