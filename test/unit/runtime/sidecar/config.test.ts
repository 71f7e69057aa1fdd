/** What the sidecar takes from its environment. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sidecarConfig } from '../../../../runtime/sidecar/config.ts';

describe('sidecarConfig', () => {
  it('listens at the pod and at loopback on a cluster', () =>
    assert.deepEqual(sidecarConfig({ POD_IP: '10.1.2.3' }).addresses, ['10.1.2.3', '127.0.0.1']));

  it('listens at the pod alone in local mode', () =>
    assert.deepEqual(sidecarConfig({ POD_IP: '127.9.8.7' }).addresses, ['127.9.8.7']));

  it('refuses a POD_IP that is no address', () =>
    assert.throws(() => sidecarConfig({ POD_IP: 'pod-7' }), /POD_IP: 'pod-7' is not an IP address/));

  for (const [name, content, want] of [
    ['names the revision of the mounted config', '{"revision":"6c9f01ab2d"}', '6c9f01ab2d'],
    ['does without a revision when the config is broken', '{"revision":', 'unknown'],
    ['does without a revision when the config has none', 'null', 'unknown'],
  ] as const) {
    it(name, () => {
      const dir = mkdtempSync(join(tmpdir(), 'sidecar-config-'));
      try {
        writeFileSync(join(dir, 'runtime.json'), content);
        assert.equal(sidecarConfig({ ONNX_CONFIG_DIR: dir }).revision, want);
      } finally {
        rmSync(dir, { recursive: true });
      }
    });
  }
});
