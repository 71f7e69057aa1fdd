/**
 * Makes sure that no container outlives local mode, whichever way local mode ends.
 *
 * Owns:  a folder with one file for each process group that was started: its name is the group's id, its content the
 *        machine's boot and the leader's start time, by which a number that was given out again is told from ours.
 * Ends:  a small watching shell reads from a pipe that only closes when local mode ends; it then kills what is left.
 *        Should the watcher be killed as well, the next start on the same folder kills the leftovers.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';

/**
 * Field 22 of /proc/PID/stat is the start time; after the name, which may hold anything, it is the 20th. A group whose
 * leader is gone is still ours: the kernel does not give a number out again while a group has it.
 */
const watcherScript = `
trap '' INT TERM HUP
while read -r line; do :; done
boot=$(cat /proc/sys/kernel/random/boot_id)
for file in "$1"/*; do
  [ -f "$file" ] || continue
  pid=\${file##*/}
  read -r wasBoot wasStart < "$file"
  stat=$(cat "/proc/$pid/stat" 2>/dev/null)
  set -- "$1" \${stat##*) }
  if [ "$wasBoot" = "$boot" ] && { [ -z "$stat" ] || [ "\${21}" = "$wasStart" ]; \
}; then kill -KILL "-$pid" 2>/dev/null; fi
  rm -f "$file"
done
`;

export class ProcessRecords {
  readonly #dir: string;
  readonly #watcher: ChildProcess;

  /**
   * Kills what an earlier run on this folder left behind, then watches over this one.
   * @throws AppError FOLDER_UNUSABLE when nothing can be written there, as after a run of another user
   */
  constructor(dir: string) {
    this.#dir = dir;
    makeWritable(dir);
    killLeftovers(dir);
    this.#watcher = spawn('/bin/sh', ['-c', watcherScript, 'onnx-local-watcher', dir], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#watcher.on('error', () => {});
    this.#watcher.stdin?.on('error', () => {});
    this.#watcher.unref();
  }

  /** @param pid of a process that leads its own group */
  add(pid: number): void {
    writeFileSync(join(this.#dir, String(pid)), `${bootId()} ${startTime(pid) ?? 'gone'}\n`);
  }

  /** The group has ended. */
  remove(pid: number): void {
    rmSync(join(this.#dir, String(pid)), { force: true });
  }

  /** Lets the watcher go; it kills whatever was added and not removed. */
  async close(): Promise<void> {
    if (this.#watcher.exitCode !== null || this.#watcher.pid === undefined) return;
    await new Promise<void>((resolve) => {
      this.#watcher.once('exit', () => resolve());
      this.#watcher.stdin?.end();
    });
  }
}

function makeWritable(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true });
    accessSync(dir, constants.W_OK);
  } catch (error) {
    throw new AppError('FOLDER_UNUSABLE', { dir, why: messageOf(error) });
  }
}

/** @returns the process ids whose groups were killed */
export function killLeftovers(dir: string): readonly number[] {
  const killed: number[] = [];
  for (const name of readdirSync(dir)) {
    const pid = Number(name);
    const [boot, start] = readFileSync(join(dir, name), 'utf8').trim().split(' ');
    const now = startTime(pid);
    if (pid > 1 && boot === bootId() && (now === undefined || now === start) && killGroup(pid, 'SIGKILL'))
      killed.push(pid);
    rmSync(join(dir, name), { force: true });
  }
  return killed;
}

/** @returns false when the group has no member left */
export function killGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** @returns clock ticks since boot at which the process began; undefined when there is none */
export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
    // A zombie has ended; nobody has asked for its exit code yet.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
