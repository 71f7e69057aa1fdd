/**
 * What the artifact code reads from its process.
 *
 * Owns: the environment settings that apply: npm's, and those that child processes inherit.
 */
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { nativeEnvironment } from '../../api/names.ts';
import { askNpm, type NpmMachine } from './fetch/npm-settings.ts';

/** This machine's npm configuration, as visible to this process. */
export function npmMachine(): NpmMachine {
  // An npm installed with this Node.js uses Node's prefix; Debian's npm uses /usr, whichever Node.js runs this program.
  const prefixes = new Set([process.env['npm_config_prefix'] ?? dirname(dirname(process.execPath)), '/usr']);
  return {
    environment: process.env,
    cwd: process.cwd(),
    home: homedir(),
    globalFiles: [...prefixes].map((prefix) => join(prefix, 'etc', 'npmrc')),
    ask: askNpm,
  };
}

/** The environment of child processes that load ONNX Runtime. */
export function engineEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, ...nativeEnvironment };
}
