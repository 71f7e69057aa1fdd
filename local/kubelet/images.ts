/**
 * A table in place of a registry: the program for each image name.
 * Owns: what an image runs, its imageID, and which `command` of a pod is accepted. When an image is not in the table,
 * pulling it fails as from a registry without this image.
 * Pure.
 */
import { createHash } from 'node:crypto';

export type Image = {
  /** The program and its first arguments; `entrypoint[0]` is an absolute path. */
  readonly entrypoint: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

export type ImageTable = ReadonlyMap<string, Image>;

/**
 * A shell, which every image has. The `command` of a pod must start with this shell or with the image's own program;
 * other programs of this machine are refused.
 */
const shell = '/bin/sh';

/** @returns the name of the image as in the table: with `:latest` when the name has neither tag nor digest */
export function imageKey(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1);
  return last.includes(':') || last.includes('@') ? name : `${name}:latest`;
}

export function findImage(table: ImageTable, name: string): Image | undefined {
  return table.get(name) ?? table.get(imageKey(name));
}

/** @returns an id that changes when the program changes; empty for an image that is not in the table */
export function imageId(table: ImageTable, name: string): string {
  const image = findImage(table, name);
  return image === undefined
    ? ''
    : `local/${name.split('@')[0]}@sha256:${createHash('sha256').update(JSON.stringify(image)).digest('hex')}`;
}

/** The message when a registry does not have this image. */
export function pullProblem(name: string): string {
  return `failed to pull image "${name}": not found: local mode has no such image in its table`;
}

/**
 * The command line of a container: `command` replaces the entrypoint, and `args` follow.
 *
 * @returns a problem when the command is not in the image, with the message of a container runtime
 */
export function commandLine(
  image: Image,
  command: readonly string[] | undefined,
  args: readonly string[],
): { readonly argv: readonly string[] } | { readonly problem: string } {
  if (command === undefined || command.length === 0) return { argv: [...image.entrypoint, ...args] };
  const program = command[0] ?? '';
  if (program !== image.entrypoint[0] && program !== shell) {
    return {
      problem: `failed to create containerd task: exec: "${program}": stat ${program}: no such file or directory`,
    };
  }
  return { argv: [...command, ...args] };
}
