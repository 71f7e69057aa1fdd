/** Where npm's settings come from, their precedence, and where credentials are sent. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseNpmrc, readNpmSettings, type NpmMachine } from '../../../../../runtime/prepare/fetch/npm-settings.ts';

describe('readNpmSettings', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'npmrc-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function settings(
    files: { project?: string; user?: string; global?: string },
    environment: Record<string, string> = {},
    answer?: string,
  ) {
    const machine: NpmMachine = {
      environment,
      cwd: join(folder, 'project'),
      home: join(folder, 'home'),
      globalFiles: [join(folder, 'global')],
      ask: async () => answer,
    };
    await mkdir(machine.cwd, { recursive: true });
    await mkdir(machine.home, { recursive: true });
    await writeFile(join(machine.cwd, '.npmrc'), files.project ?? '');
    await writeFile(join(machine.home, '.npmrc'), files.user ?? '');
    await writeFile(join(folder, 'global'), files.global ?? '');
    return await readNpmSettings(machine);
  }
  const files = {
    project: 'registry=https://project.example/',
    user: 'registry=https://user.example',
    global: 'registry=https://global.example/npm',
  };

  // prettier-ignore
  const rows: { name: string; files: Parameters<typeof settings>[0];
    environment?: Record<string, string>; answer?: string; want: string }[] = [
    { name: 'the environment before all files', files,
      environment: { NPM_CONFIG_REGISTRY: 'https://env.example/' }, want: 'https://env.example/' },
    { name: 'the project before the user', files, want: 'https://project.example/' },
    { name: 'the user before the machine', files: { ...files, project: '' }, want: 'https://user.example/' },
    { name: 'the machine, with a path', files: { global: files.global }, want: 'https://global.example/npm/' },
    { name: "npm's own answer when no file sets it", files: {},
      answer: 'https://asked.example/', want: 'https://asked.example/' },
    { name: 'another user file from the environment', files,
      environment: { npm_config_userconfig: '/dev/null', npm_config_registry: '' }, want: 'https://project.example/' },
  ];
  for (const { name, files: given, environment, answer, want } of rows) {
    it(`takes ${name}`, async () =>
      assert.equal((await settings(given, environment, answer)).registryOf('pkg').href, want));
  }

  it('gives a scope its own registry', async () => {
    const got = await settings({ user: 'registry=https://all.example/\n@acme:registry=https://acme.example/' });
    assert.deepEqual(
      [got.registryOf('@acme/models').host, got.registryOf('@other/models').host],
      ['acme.example', 'all.example'],
    );
  });

  it('reports that no registry is known', async () => {
    const got = await settings({});
    assert.throws(() => got.registryOf('pkg'), /no npm registry is configured: set npm_config_registry/);
  });

  it('refuses a registry that is not a web address', async () => {
    const got = await settings({ user: 'registry=ftp://x' });
    assert.throws(() => got.registryOf('pkg'), /not an http\(s\) URL/);
  });

  it('reads the certificates of a cafile', async () => {
    await writeFile(join(folder, 'ca.pem'), 'PEM');
    assert.deepEqual((await settings({ user: `cafile=${join(folder, 'ca.pem')}` })).ca, ['PEM']);
  });

  describe('authorizationFor', () => {
    const credentials = [
      '//reg.example/team/:_authToken=${TOKEN}',
      '//reg.example/:_auth=YWxs',
      '//user.example/:username=me',
      `//user.example/:_password=${Buffer.from('secret').toString('base64')}`,
    ].join('\n');
    const cases: { url: string; want: string | undefined }[] = [
      { url: 'https://reg.example/team/pkg/-/pkg.tgz', want: 'Bearer t0ken' },
      { url: 'https://reg.example/other/pkg', want: 'Basic YWxs' },
      { url: 'https://user.example/pkg', want: `Basic ${Buffer.from('me:secret').toString('base64')}` },
      { url: 'https://reg.example.evil/team/pkg', want: undefined },
      { url: 'https://reg.example:8443/team/pkg', want: undefined },
    ];
    for (const { url, want } of cases) {
      it(`${want === undefined ? 'does not send a credential' : 'sends its credential'} to ${url}`, async () => {
        assert.equal((await settings({ user: credentials }, { TOKEN: 't0ken' })).authorizationFor(new URL(url)), want);
      });
    }
  });
});

describe('parseNpmrc', () => {
  it('reads comments, quotes, blanks and variables', () => {
    const text = '; note\n# note\n a = 1 \nb="two words"\nc=${X}/${MISSING}\nlist[]=1\nbroken\n';
    assert.deepEqual(Object.fromEntries(parseNpmrc(text, { X: 'x' })), {
      a: '1',
      b: 'two words',
      c: 'x/${MISSING}',
      'list[]': '1',
    });
  });
});
