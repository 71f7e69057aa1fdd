/**
 * What the artifact code takes from the process it runs in.
 *
 * Owns: which of the machine's settings count: those of npm, and what a child process needs to inherit.
 */
import { homedir } from 'node:os';
import { askNpm, type NpmMachine } from './npm-settings.ts';

/** The npm of this machine, as this process sees it. */
export function npmMachine(): NpmMachine {
  return { environment: process.env, cwd: process.cwd(), home: homedir(), ask: askNpm };
}

/**
 * The environment of a child that loads ONNX Runtime.
 *
 * Both have to be there before the process starts: glibc reads its threshold once (without it, memory that a session
 * released stays with the process), and ONNX Runtime sends telemetry from its first breath on.
 */
export function engineEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, MALLOC_TRIM_THRESHOLD_: '131072', ORT_DISABLE_TELEMETRY: '1' };
}
