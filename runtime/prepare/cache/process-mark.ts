/**
 * Names a process so that another can tell whether it still lives.
 *
 * Owns: the mark (host, process id, start time) and the question. Process ids are used again, also within a second
 *       of a container's restart; together with the start time they are not.
 */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

export type ProcessMark = { readonly host: string; readonly pid: number; readonly started: string };

export async function ownMark(): Promise<ProcessMark> {
  return { host: hostname(), pid: process.pid, started: (await startOf(process.pid)) ?? '' };
}

/** 'unknown' for another host's: nobody can see from here. */
export async function fateOf(mark: ProcessMark): Promise<'alive' | 'gone' | 'unknown'> {
  if (mark.host !== hostname() || mark.started === '') return 'unknown';
  return (await startOf(mark.pid)) === mark.started ? 'alive' : 'gone';
}

/** Field 22 of /proc/PID/stat, ticks since boot; the name in field 2 may hold blanks and parentheses. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** @returns undefined when the text is no mark */
export function parseMark(text: string): ProcessMark | undefined {
  try {
    const { host, pid, started } = JSON.parse(text) as Partial<Record<keyof ProcessMark, unknown>>;
    return typeof host === 'string' && Number.isInteger(pid) && typeof started === 'string'
      ? { host, pid: pid as number, started }
      : undefined;
  } catch {
    return undefined;
  }
}
