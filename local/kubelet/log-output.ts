/**
 * Turns stored log lines into the output of `kubectl logs`.
 * Owns: `tailLines`, `sinceMs` and `timestamps`. A long line, which is stored in parts, is joined again.
 * Limits: the tail is held in memory; it is at most as large as the stored log.
 */
import type { LogOptions } from '../objects.ts';
import type { ContainerLog } from './container-log.ts';

/** @returns the bytes, as LogSource specifies */
export async function* readLog(
  log: ContainerLog,
  options: Pick<LogOptions, 'follow' | 'tailLines' | 'sinceMs' | 'timestamps' | 'signal'>,
): AsyncGenerator<Uint8Array> {
  const { tailLines, sinceMs = 0, follow, signal } = options;
  let atLineStart = true;
  const print = (lines: readonly string[]): Uint8Array => {
    let text = '';
    for (const line of lines) {
      const [time = '', , flag = 'F'] = line.split(' ', 3);
      if (Date.parse(time) < sinceMs) continue;
      text += `${options.timestamps && atLineStart ? `${time} ` : ''}${textOf(line)}${flag === 'F' ? '\n' : ''}`;
      atLineStart = flag === 'F';
    }
    return Buffer.from(text);
  };

  let held: string[] | undefined = tailLines === undefined ? undefined : [];
  for await (const lines of log.lines(follow, signal)) {
    if (held === undefined) {
      if (lines.length > 0) yield print(lines);
    } else if (lines.length > 0) {
      held.push(...lines);
    } else {
      yield print(held.slice(tailStart(held, tailLines ?? 0)));
      held = undefined;
    }
  }
}

/**
 * The end of a run's output: at most 80 lines and `limit` characters. It is the termination message when the container
 * wrote no file.
 */
export async function lastWordsOfLog(log: ContainerLog, limit: number): Promise<string> {
  let text = '';
  for await (const bytes of readLog(log, {
    follow: false,
    timestamps: false,
    tailLines: 80,
    signal: new AbortController().signal,
  }))
    text += Buffer.from(bytes).toString();
  return text.slice(-limit);
}

function tailStart(lines: readonly string[], count: number): number {
  let left = count;
  for (let index = lines.length - 1; index >= 0; index -= 1) {
    if (/^\S+ \S+ F/.test(lines[index] ?? '')) left -= 1;
    if (left < 0) return index + 1;
  }
  return 0;
}

function textOf(line: string): string {
  return line.split(' ').slice(3).join(' ');
}
