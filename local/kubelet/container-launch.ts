/**
 * Computes how to start a container: command, environment, folders, limits.
 * Owns: the container's folders (`work`, `logs/N`, `termination-log` in the pod's folder), and the precedence of
 * environment variables: the pod's value wins over the image's value, which wins over the value in local mode's own
 * environment.
 * Why: containers have no mount namespace, so mount paths are rewritten (rewrite-paths.ts). If a volume is mounted at
 * /tmp, the variable `TMPDIR` names its folder.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseQuantity } from '../../api/quantities.ts';
import { configMapsPath } from '../workloads/resources.ts';
import type { ContainerLimits } from './cgroups.ts';
import { containerEnv, expandVariables } from './container-env.ts';
import { commandLine, findImage, pullProblem } from './images.ts';
import { hostIp, podDir, type KubeletDeps } from './kubelet-deps.ts';
import { defaultTerminationLog, type Container, type StoredPod } from './pod.ts';
import { pathRewriter, type PathMapping } from './rewrite-paths.ts';
import { mountsOf } from './volumes.ts';

export type Launch = {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly limits: ContainerLimits;
  readonly terminationLog: string;
  readonly rewrite: (word: string) => string;
};

export type LaunchOutcome =
  | { readonly kind: 'launch'; readonly launch: Launch }
  /** The image does not exist. */
  | { readonly kind: 'no-image'; readonly problem: string }
  /** An object that the pod refers to does not exist. */
  | { readonly kind: 'no-config'; readonly problem: string }
  /** The container can never start with this spec. */
  | { readonly kind: 'no-command'; readonly problem: string };

const basePath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function containerDir(dataDir: string, pod: StoredPod, container: Container): string {
  return join(podDir(dataDir, pod), 'containers', container.name);
}

/** Prepares one run: creates the container's folders and an empty termination log. */
export function prepareLaunch(deps: KubeletDeps, pod: StoredPod, container: Container, podIp: string): LaunchOutcome {
  const image = findImage(deps.images, container.image);
  if (image === undefined) return { kind: 'no-image', problem: pullProblem(container.image) };
  const namespace = pod.metadata.namespace ?? '';
  const configMap = (name: string): Readonly<Record<string, string>> | undefined => {
    const stored = deps.objects.get({ ...configMapsPath, namespace, name });
    return stored === undefined ? undefined : ((stored['data'] ?? {}) as Record<string, string>);
  };
  const outcome = containerEnv(container, { pod, podIp, hostIp, capacity: deps.capacity, configMap });
  if ('problem' in outcome) return { kind: 'no-config', problem: outcome.problem };
  const expand = (words: readonly string[] | undefined): readonly string[] =>
    (words ?? []).map((word) => expandVariables(word, outcome.env));
  const dir = containerDir(deps.dataDir, pod, container);
  const terminationLog = join(dir, 'termination-log');
  const mounts = mountsOf(deps, pod, podDir(deps.dataDir, pod), container);
  const rewrite = pathRewriter([
    ...mounts,
    { mountPath: container.terminationMessagePath ?? defaultTerminationLog, hostPath: terminationLog },
  ]);
  // Rewrite paths in the pod's command and args, but not in the program or the image's entrypoint. The program may be
  // below a path at which the pod mounts a volume, such as /tmp.
  const [program, ...words] = expand(container.command);
  const line = commandLine(
    image,
    program === undefined ? [] : [program, ...words.map(rewrite)],
    expand(container.args).map(rewrite),
  );
  if ('problem' in line) return { kind: 'no-command', problem: line.problem };
  return {
    kind: 'launch',
    launch: {
      argv: line.argv,
      env: environment({ deps, pod, mounts, imageEnv: image.env ?? {}, own: outcome.env, rewrite }),
      cwd: makeFolders(dir, terminationLog, container, rewrite),
      limits: { memoryBytes: limitOf(container, 'memory'), cpu: limitOf(container, 'cpu') },
      terminationLog,
      rewrite,
    },
  };
}

type EnvironmentParts = {
  deps: KubeletDeps;
  pod: StoredPod;
  mounts: readonly PathMapping[];
  imageEnv: Readonly<Record<string, string>>;
  own: Readonly<Record<string, string>>;
  rewrite: (word: string) => string;
};

function environment({
  deps,
  pod,
  mounts,
  imageEnv,
  own,
  rewrite,
}: EnvironmentParts): Readonly<Record<string, string>> {
  const tmp = mounts.find((mount) => mount.mountPath === '/tmp');
  return {
    PATH: basePath,
    ...deps.machineEnv,
    HOSTNAME: pod.metadata.name,
    ...(tmp === undefined ? {} : { TMPDIR: tmp.hostPath }),
    ...imageEnv,
    ...Object.fromEntries(Object.entries(own).map(([name, value]) => [name, rewrite(value)])),
  };
}

/**
 * @returns the working directory: the requested directory when it is in a volume, or else the container's own folder
 */
function makeFolders(
  dir: string,
  terminationLog: string,
  container: Container,
  rewrite: (word: string) => string,
): string {
  const asked = container.workingDir === undefined ? undefined : rewrite(container.workingDir);
  const work = asked === undefined || asked === container.workingDir ? join(dir, 'work') : asked;
  mkdirSync(dir, { recursive: true });
  mkdirSync(work, { recursive: true });
  writeFileSync(terminationLog, '');
  return work;
}

function limitOf(container: Container, resource: string): number | undefined {
  const value = container.resources?.limits?.[resource];
  return value === undefined ? undefined : parseQuantity(value);
}
