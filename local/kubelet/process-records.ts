/**
 * Ensures that no container (a child process) outlives local mode (the cluster in this process), however it ends.
 * Owns: a folder with one file for each process group that was started. The name of the file is the id of the group.
 * The file contains the machine's boot id and the leader's start time, which detect an id that was reused.
 * Ends: the watcher is a small shell that reads from a pipe. The pipe closes only when local mode ends; the watcher
 * then kills the recorded groups. If the watcher was killed too, the next start on the same folder kills the groups.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError, messageOf } from '../../api/errors.ts';

/**
 * The script of the watcher. It reads the start time of a process, which is field 22 of /proc/PID/stat. The name of the
 * process may contain spaces, so the script counts from the end of the name: the start time is the 20th field after it.
 * The script also kills a group whose leader has ended: the kernel does not reuse the id of a group that has a member.
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
   * Kills the process groups that an earlier run on this folder left, then starts the watcher.
   * @throws AppError FOLDER_UNUSABLE when the folder is not writable, for example after a run of another user
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

  /** Records a process group. @param pid the process that leads the group */
  add(pid: number): void {
    writeFileSync(join(this.#dir, String(pid)), `${bootId()} ${startTime(pid) ?? 'gone'}\n`);
  }

  /** Removes the record of a group. Call it when the group has ended. */
  remove(pid: number): void {
    rmSync(join(this.#dir, String(pid)), { force: true });
  }

  /** Ends the watcher, which then kills every group that was added and not removed. */
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

/** Kills the recorded groups. @returns the process ids whose groups were killed */
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

/** Sends a signal to a group. @returns false when the group has no member */
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

/** When a process began. @returns clock ticks since boot; undefined when the process does not exist */
export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
    // A zombie has ended, even while its exit code has not been read.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
