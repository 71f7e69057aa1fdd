/**
 * The npm registry of this machine, and the credentials for it (docs.npmjs.com/cli/configuring-npm/npmrc).
 *
 * Owns: reading the settings of npm: `npm_config_*` variables, then the .npmrc of the project, the user and the
 *       machine; the value of a key comes from the first of these places that has the key. The files are read here,
 *       because `npm config` hides credentials, and the runtime's image has no npm. The npm program itself is only run
 *       to get its default registry.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../../../api/errors.ts';
import { ownValue } from '../../../api/record.ts';

export type NpmMachine = {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Folder that contains the project's .npmrc. */
  readonly cwd: string;
  readonly home: string;
  /** Possible paths of the machine's npmrc when `npm_config_globalconfig` is not set. */
  readonly globalFiles: readonly string[];
  /** Runs npm to get the value of a key; undefined when npm is not installed or fails. */
  readonly ask: (key: string) => Promise<string | undefined>;
};

export type NpmSettings = {
  /** The URL of a package's registry; it ends with "/". @throws SOURCE_INVALID when no registry is known */
  registryOf(name: string): URL;
  /** The Authorization header for a URL below a registry with credentials; otherwise undefined. */
  authorizationFor(url: URL): string | undefined;
  /** Certificates to trust, PEM. */
  readonly ca: readonly string[];
};

type Config = ReadonlyMap<string, string>;

export async function readNpmSettings(machine: NpmMachine): Promise<NpmSettings> {
  const config = await readConfig(machine);
  const registry = config.get('registry') ?? (await machine.ask('registry'));
  const cafile = config.get('cafile');
  const ca = cafile === undefined ? undefined : await readText(cafile);
  return {
    registryOf: (name) => registryUrl(config.get(`${scopeOf(name)}:registry`) ?? registry, name),
    authorizationFor: (url) => authorization(config, url),
    ca: ca === undefined ? [] : [ca],
  };
}

/** Runs `npm config get`; undefined when npm is not installed or fails. */
export async function askNpm(key: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)('npm', ['config', 'get', key], {
      timeout: 20_000,
      maxBuffer: 64 * 1024,
    });
    const value = stdout.trim();
    return value === '' || value === 'undefined' ? undefined : value;
  } catch {
    return undefined;
  }
}

async function readConfig({ environment, cwd, home, globalFiles }: NpmMachine): Promise<Config> {
  const variables = fromEnvironment(environment);
  const globalConfig = variables.get('globalconfig');
  const files = [
    join(cwd, '.npmrc'),
    variables.get('userconfig') ?? join(home, '.npmrc'),
    ...(globalConfig === undefined ? globalFiles : [globalConfig]),
  ];
  const config = new Map(variables);
  for (const file of files) {
    for (const [key, value] of parseNpmrc((await readText(file)) ?? '', environment))
      if (!config.has(key)) config.set(key, value);
  }
  return config;
}

function fromEnvironment(environment: NpmMachine['environment']): Map<string, string> {
  const config = new Map<string, string>();
  for (const [name, value] of Object.entries(environment)) {
    const key = /^npm_config_(.+)$/i.exec(name)?.[1];
    if (key === undefined || value === undefined || value === '') continue;
    // npm reads "_" as "-", except in keys that begin with "//" or "@".
    config.set(/^(\/\/|@)/.test(key) ? key : key.toLowerCase().replace(/(?!^)_/g, '-'), value);
  }
  return config;
}

/**
 * Reads keys and values, and replaces `${NAME}` from the environment, as npm does. If a key occurs more than once, its
 * last value is used.
 */
export function parseNpmrc(text: string, environment: NpmMachine['environment']): Map<string, string> {
  const config = new Map<string, string>();
  for (const line of text.slice(0, 1 << 20).split(/\r?\n/)) {
    const [, key, value] = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) continue;
    const bare = value.replace(/^(["'])(.*)\1$/, '$2');
    config.set(
      key,
      bare.replace(/\$\{([^}]+)\}/g, (whole, name: string) => ownValue(environment, name) ?? whole),
    );
  }
  return config;
}

function scopeOf(name: string): string {
  return name.startsWith('@') ? (name.split('/')[0] ?? '') : '';
}

function registryUrl(text: string | undefined, name: string): URL {
  const uri = `npm:${name}`;
  if (text === undefined)
    throw new AppError('SOURCE_INVALID', {
      uri,
      problem: 'no npm registry is configured: set npm_config_registry',
    });
  if (!URL.canParse(text) || !/^https?:/i.test(text))
    throw new AppError('SOURCE_INVALID', { uri, problem: 'the configured npm registry is not an http(s) URL' });
  return new URL(text.endsWith('/') ? text : `${text}/`);
}

/**
 * npm stores credentials under `//host/path/:key` and uses the credentials of the longest path that contains the URL.
 */
function authorization(config: Config, url: URL): string | undefined {
  const segments = url.pathname.split('/').slice(0, -1);
  for (let count = segments.length; count >= 1; count -= 1) {
    const place = `//${url.host}${segments.slice(0, count).join('/')}/`;
    const header = credentialAt(config, place) ?? credentialAt(config, place.slice(0, -1));
    if (header !== undefined) return header;
  }
  return undefined;
}

function credentialAt(config: Config, place: string): string | undefined {
  const token = config.get(`${place}:_authToken`);
  if (token !== undefined) return `Bearer ${token}`;
  const basic = config.get(`${place}:_auth`);
  if (basic !== undefined) return `Basic ${basic}`;
  const user = config.get(`${place}:username`);
  const password = config.get(`${place}:_password`);
  if (user === undefined || password === undefined) return undefined;
  return `Basic ${Buffer.from(`${user}:${Buffer.from(password, 'base64').toString()}`).toString('base64')}`;
}

async function readText(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}
