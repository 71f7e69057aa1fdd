/**
 * What the artifact code takes from the process it runs in.
 *
 * Owns: which of the machine's settings count: those of npm, and what a child process needs to inherit.
 */
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { nativeEnvironment } from '../../api/names.ts';
import { askNpm, type NpmMachine } from './fetch/npm-settings.ts';

/** The npm of this machine, as this process sees it. */
export function npmMachine(): NpmMachine {
  // An npm beside this Node.js has its prefix there; Debian's has its at /usr, whatever Node.js runs this program.
  const prefixes = new Set([process.env['npm_config_prefix'] ?? dirname(dirname(process.execPath)), '/usr']);
  return {
    environment: process.env,
    cwd: process.cwd(),
    home: homedir(),
    globalFiles: [...prefixes].map((prefix) => join(prefix, 'etc', 'npmrc')),
    ask: askNpm,
  };
}

/** The environment of a child that loads ONNX Runtime. */
export function engineEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, ...nativeEnvironment };
}
