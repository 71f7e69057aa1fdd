/**
 * The npm registry that this machine is set to, and the credentials for it.
 *
 * Owns:  reading what npm reads: `npm_config_*` variables, then the .npmrc of the project, the user and the machine,
 *        the first that speaks wins; registries of scopes; tokens and passwords by registry.
 * Why:   `npm config` shows no credentials, and the runtime's image has no npm. Only where none of the files names a
 *        registry, npm itself is asked for its default.
 * Read:  docs.npmjs.com/cli/configuring-npm/npmrc
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../../../api/errors.ts';
import { ownValue } from '../../../api/record.ts';

export type NpmMachine = {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Folder whose .npmrc is the project's. */
  readonly cwd: string;
  readonly home: string;
  /** The machine's npmrc, where npm may look for it, when `npm_config_globalconfig` does not say. */
  readonly globalFiles: readonly string[];
  /** npm's own answer for a key; undefined when there is no npm. */
  readonly ask: (key: string) => Promise<string | undefined>;
};

export type NpmSettings = {
  /** Where packages of this name come from, ending with "/". @throws SOURCE_INVALID when no registry is known */
  registryOf(name: string): URL;
  /**
   * The Authorization header for this URL; undefined without one. Only for URLs below the registry it was given for.
   */
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

/** Runs the machine's npm; undefined when it has none or it does not answer. */
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
    // Keys that begin with "//" or "@" are written as they are; in others npm takes "_" for "-".
    config.set(/^(\/\/|@)/.test(key) ? key : key.toLowerCase().replace(/(?!^)_/g, '-'), value);
  }
  return config;
}

/** The keys this program uses; `${NAME}` is taken from the environment, as npm does. The last of equal keys wins. */
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
      problem: 'this machine names no npm registry: set npm_config_registry',
    });
  if (!URL.canParse(text) || !/^https?:/i.test(text))
    throw new AppError('SOURCE_INVALID', { uri, problem: 'the npm registry of this machine is not an http(s) URL' });
  return new URL(text.endsWith('/') ? text : `${text}/`);
}

/** npm keeps credentials under `//host/path/:key` and uses those of the longest path above the URL. */
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
