/** The runtime's flags and environment. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { AppError } from '../../../../api/errors.ts';
import { podSettings, readCommand, type Command, type ServeSettings } from '../../../../runtime/config/command-line.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
  writeFileSync(join(folder, 'My Model.onnx'), '');
});
after(() => rmSync(folder, { recursive: true }));

function serve(args: readonly string[], environment = {}): ServeSettings {
  const command = readCommand(['serve', ...args], environment);
  assert.equal(command.kind, 'serve');
  return (command as Extract<Command, { kind: 'serve' }>).settings;
}

describe('readCommand', () => {
  for (const argv of [
    [],
    ['--help'],
    ['help'],
    ['serve', '--help'],
    ['run', '-h'],
    ['prepare', '--help'],
    ['sidecar', '--help'],
  ]) {
    it(`prints help for: ${argv.join(' ')}`, () => {
      const command = readCommand(argv, {});
      assert.ok(command.kind === 'help' && command.text.startsWith('Usage: '));
    });
  }

  it("reads the commands of a pod's containers", () =>
    assert.deepEqual(
      ['prepare', 'run', 'sidecar'].map((name) => readCommand([name], { ONNX_LOG_LEVEL: 'debug' })),
      ['prepare', 'run', 'sidecar'].map((is) => ({ kind: is, logLevel: 'debug' })),
    ));

  it("turns a path into a URI, and its file name into the model's name", () => {
    const { uri, name, port, metricsPort, addresses } = serve([join(folder, 'My Model.onnx'), '--port', '9000']);
    assert.deepEqual(
      [uri, name, port, metricsPort, addresses],
      [pathToFileURL(join(folder, 'My Model.onnx')).href, 'my-model', 9000, 9002, ['127.0.0.1']],
    );
  });

  it("ends a folder's URI with a slash", () => assert.equal(serve([folder]).uri, `${pathToFileURL(folder).href}/`));

  const names: readonly [string, string][] = [
    ['npm:@scope/pkg@1.2.3/onnx/model.onnx', 'onnx'],
    ['https://host/ranker/v7/', 'v7'],
    ['https://host/a/Big_Net-2.onnx?x=1', 'big-net-2'],
    ['pvc://models/minilm/', 'minilm'],
    ['https://host/123.onnx', 'model'],
  ];
  for (const [model, want] of names) it(`calls ${model} ${want}`, () => assert.equal(serve([model]).name, want));

  // prettier-ignore
  const wrong: readonly { readonly argv: readonly string[];
    readonly environment?: Record<string, string>; readonly says: RegExp }[] = [
    { argv: ['fly'], says: /fly: unknown command; available commands: / },
    { argv: ['serve'], says: /MODEL: is required/ },
    { argv: ['serve', '/no/such/file'], says:
        /cannot read \/no\/such\/file: no such file or folder; \/ has .*, / },
    { argv: ['serve', 'npm:a@1.0.0/m.onnx', 'b'], says: /b: unexpected argument; serve takes one MODEL/ },
    { argv: ['serve', 'npm:a@1.0.0/m.onnx', '--port', 'http'], says: /--port: 'http' is not a port/ },
    { argv: ['serve', 'npm:a@1.0.0/m.onnx', '--port', '70000'], says: /--port: '70000' is not a port/ },
    { argv: ['serve', 'npm:a@1.0.0/m.onnx', '--name', 'A_b'], says: /--name: 'A_b' is not a name/ },
    { argv: ['serve', 'npm:a@1.0.0/m.onnx', '--wings', '2'], says: /serve: unknown flag "--wings"; available flags: / },
    { argv: ['run', 'now'], says: /now: run takes no arguments/ },
    { argv: ['run'], environment: { ONNX_LOG_LEVEL: 'loud' }, says: /ONNX_LOG_LEVEL: 'loud' is not one of/ },
    { argv: ['serve', 'npm:a@1.0.0/m.onnx'], environment: {
        ONNX_BODY_LIMIT: '3Ti' }, says: /ONNX_BODY_LIMIT: '3Ti' is not an amount/ },
    { argv: ['serve', 'npm:a@1.0.0/m.onnx'], environment: { ONNX_DRAIN_DELAY: 'soon' },
      says: /ONNX_DRAIN_DELAY: 'soon' is not a duration/ },
  ];
  for (const { argv, environment = {}, says } of wrong)
    it(`refuses: ${argv.join(' ')} ${Object.keys(environment).join('')}`, () =>
      assert.throws(
        () => readCommand(argv, environment),
        (error: unknown) => error instanceof AppError && says.test(error.message),
      ));
});

describe('podSettings', () => {
  it("listens at the pod's address and on loopback", () =>
    assert.deepEqual(podSettings({ POD_IP: '10.1.2.3' }).addresses, ['10.1.2.3', '127.0.0.1']));
  it('does not listen at 127.0.0.1 when the pod has its own loopback address', () =>
    assert.deepEqual(podSettings({ POD_IP: '127.0.3.4' }).addresses, ['127.0.3.4']));
  it('allows file:/// URIs only when the environment says so', () =>
    assert.deepEqual([podSettings({}).allowFile, podSettings({ ONNX_ALLOW_FILE: 'true' }).allowFile], [false, true]));

  it('drains for five seconds', () => {
    const { drainMs, port, metricsPort, bodyLimitBytes } = podSettings({});
    assert.deepEqual([drainMs, port, metricsPort, bodyLimitBytes], [5000, 8080, 8082, 64 * 2 ** 20]);
  });

  it('refuses an invalid address', () =>
    assert.throws(() => podSettings({ POD_IP: 'here' }), /POD_IP: 'here' is not an IP address/));
});
