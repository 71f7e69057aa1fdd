/** The sidecar's settings from environment variables. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sidecarConfig } from '../../../../runtime/sidecar/config.ts';

describe('sidecarConfig', () => {
  it("listens on the pod's address and on loopback in a cluster", () =>
    assert.deepEqual(sidecarConfig({ POD_IP: '10.1.2.3' }).addresses, ['10.1.2.3', '127.0.0.1']));

  it("listens only on the pod's address in local mode", () =>
    assert.deepEqual(sidecarConfig({ POD_IP: '127.9.8.7' }).addresses, ['127.9.8.7']));

  it('refuses a POD_IP that is not an IP address', () =>
    assert.throws(() => sidecarConfig({ POD_IP: 'pod-7' }), /POD_IP: 'pod-7' is not an IP address/));

  for (const [name, content, want] of [
    ['reads the revision from the mounted config', '{"revision":"6c9f01ab2d"}', '6c9f01ab2d'],
    ['has an unknown revision when the config is invalid', '{"revision":', 'unknown'],
    ['has an unknown revision when the config has none', 'null', 'unknown'],
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
