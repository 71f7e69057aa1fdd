/**
 * Identifies a process, so that another process can check whether the first one still runs.
 *
 * Owns: the mark (host, process id, start time) and the check. A process id may be reused within a second, for example
 *       when a container restarts. The start time distinguishes two processes with the same id.
 */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

export type ProcessMark = { readonly host: string; readonly pid: number; readonly started: string };

export async function ownMark(): Promise<ProcessMark> {
  return { host: hostname(), pid: process.pid, started: (await startOf(process.pid)) ?? '' };
}

/** 'unknown' for a process on another host, and for a mark without a start time. */
export async function fateOf(mark: ProcessMark): Promise<'alive' | 'gone' | 'unknown'> {
  if (mark.host !== hostname() || mark.started === '') return 'unknown';
  return (await startOf(mark.pid)) === mark.started ? 'alive' : 'gone';
}

/**
 * The start time in ticks since boot: field 22 of /proc/PID/stat. Fields are counted after the last ")", because the
 * name in field 2 may contain blanks and parentheses.
 */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** @returns undefined when the text is not a mark */
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
