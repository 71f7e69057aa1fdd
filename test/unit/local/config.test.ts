import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { machineEnvironment, readLocalConfig, type LocalConfig } from '../../../local/config.ts';

describe('local readConfig', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'onnx-config-'));
    writeFileSync(join(dir, 'file'), '');
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  const read = (...flags: readonly string[]): LocalConfig => {
    const config = readLocalConfig(flags, {});
    assert.ok(config !== 'help');
    return config;
  };

  it('has defaults for everything', () => {
    assert.deepEqual(read(), { volumes: new Map(), port: 0, operator: true, logLevel: 'info', machineEnv: {} });
  });

  it('reads every flag', () => {
    const config = read(
      '--kubeconfig',
      join(dir, 'k'),
      '--data',
      dir,
      '--volume',
      `models=${dir}`,
      '--volume',
      `other.one=${dir}`,
      '--port',
      '6443',
      '--no-operator',
      '--log-level',
      'debug',
    );
    assert.deepEqual(config, {
      kubeconfig: join(dir, 'k'),
      dataDir: dir,
      volumes: new Map([
        ['models', dir],
        ['other.one', dir],
      ]),
      port: 6443,
      operator: false,
      logLevel: 'debug',
      machineEnv: {},
    });
  });

  it('prints its help', () => assert.equal(readLocalConfig(['--help'], {}), 'help'));

  // prettier-ignore
  const wrong: readonly (readonly [string, () => readonly string[], RegExp])[] = [
    ['an unknown flag', () => ['--what'], /--what/],
    ['a word too many', () => ['what'], /what/],
    ['a port out of range', () => ['--port', '70000'], /--port: '70000' is not a port/],
    ['a port that is not a number', () => ['--port', 'http'], /--port: 'http' is not a port/],
    ['a volume without a folder', () => ['--volume', 'models'], /--volume: 'models' is not CLAIM=DIR/],
    ['an invalid claim name', () => ['--volume', `Models=${dir}`], /is not CLAIM=DIR/],
    ['a missing folder', () => ['--volume', `models=${join(dir, 'none')}`],
      /none cannot be used: the folder does not exist/],
    ['a folder that is a file', () => ['--volume', `models=${join(dir, 'file')}`],
      /file cannot be used: the path is not a folder/],
    ['a kubeconfig in a missing folder', () => ['--kubeconfig', join(dir, 'none', 'k')],
      /none cannot be used: the folder does not exist/],
    ['an unknown log level', () => ['--log-level', 'loud'],
      /--log-level: 'loud' is not debug, info, warn or error/],
  ];
  for (const [name, flags, problem] of wrong)
    it(`refuses ${name}`, () => assert.throws(() => readLocalConfig(flags(), {}), problem));
});

describe('machineEnvironment', () => {
  it('passes on the variables for the network, and no others', () => {
    const given = {
      HOME: '/home/a',
      PATH: '/bin',
      https_proxy: 'p',
      NO_PROXY: 'n',
      npm_config_registry: 'r',
      NPM_CONFIG_USERCONFIG: 'u',
      AWS_SECRET_ACCESS_KEY: 's',
      KUBECONFIG: 'k',
      NODE_OPTIONS: '--inspect',
      npm_config_cache: 'c',
      LANG: undefined,
    };
    assert.deepEqual(Object.keys(machineEnvironment(given)), [
      'HOME',
      'PATH',
      'https_proxy',
      'NO_PROXY',
      'npm_config_registry',
      'NPM_CONFIG_USERCONFIG',
    ]);
  });
});
