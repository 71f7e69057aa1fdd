/**
 * All of local mode, a Kubernetes cluster in one process on this machine: API server, CRDs, controllers, kubelet and
 * router. The operator runs as a child process.
 * Owns: the order in which the parts start and end, and the table of images, which replaces a registry: it has the
 * program of each image. main.ts adds flags; tests call this file directly.
 * Ends: `close` ends the operator, then every container, then the API. Every process that was started has then ended.
 */
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { AppError, messageOf } from '../api/errors.ts';
import { env, localRuntimeImage } from '../api/names.ts';
import { systemClock, type Clock } from '../lib/clock.ts';
import { silentLogger, type Logger } from '../lib/log.ts';
import { startApiServer, type ApiServerDeps, type LocalApiServer } from './api-server/server.ts';
import { startControlPlane, type ControlPlane, type ControlPlaneDeps } from './control-plane.ts';
import { openDataFolder } from './data-folder.ts';
import type { Image } from './kubelet/images.ts';
import type { NewObject, Objects } from './objects.ts';
import { OperatorProcess } from './operator-process.ts';
import { definitionsPath } from './workloads/resources.ts';

const repository = join(import.meta.dirname, '..');

/**
 * The grace period of containers when local mode ends, in milliseconds. It is short, because clients send no more
 * requests.
 */
const endGraceMs = 3000;

export type LocalClusterDeps = {
  /**
   * The folder that keeps all state across restarts. Absent: a temporary folder that is removed when local mode ends.
   */
  readonly dataDir?: string;
  /** Path where the kubeconfig is written. Absent: `kubeconfig` in the data folder. */
  readonly kubeconfig?: string;
  /** The port of the API server. 0 or absent: any free port. */
  readonly port?: number;
  /** Name of a volume claim → the folder that is mounted for it. */
  readonly volumes?: ReadonlyMap<string, string>;
  /** How to start the operator as a child process. Absent: it is not started, for tests that run their own operator. */
  readonly operator?: { readonly extraArgs?: readonly string[] };
  /** The program for each image name, in addition to the image of this repository's runtime. */
  readonly images?: ReadonlyMap<string, Image>;
  readonly machineEnv?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly logger?: Logger;
  readonly controlPlane?: Pick<ControlPlaneDeps, 'backoff' | 'capacity' | 'limits'>;
};

export interface LocalCluster {
  /** URL of the API server. */
  readonly server: string;
  /** Path of the written kubeconfig. */
  readonly kubeconfig: string;
  readonly dataDir: string;
  readonly objects: Objects;
  /** Ends everything. A second call does nothing. */
  close(): Promise<void>;
}

/**
 * Starts local mode. Resolves when the API answers and the kubelet runs pods.
 * @throws AppError PORT_TAKEN, DATA_IN_USE, FOLDER_UNUSABLE
 */
export async function startLocalCluster(deps: LocalClusterDeps = {}): Promise<LocalCluster> {
  const ends: (() => void | Promise<void>)[] = [];
  // End the parts in the reverse order of their start, because the operator and the pods need the API while they end.
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    return { ...(await start(deps, ends)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(
  deps: LocalClusterDeps,
  ends: (() => void | Promise<void>)[],
): Promise<Omit<LocalCluster, 'close'>> {
  const { clock = systemClock, logger = silentLogger } = deps;
  const folder = openDataFolder(deps.dataDir);
  ends.push(() => folder.close());
  const api = await startApi({
    clock,
    logger,
    port: deps.port ?? 0,
    ...(deps.dataDir === undefined ? {} : { dataDir: join(folder.dir, 'state') }),
  });
  ends.push(() => api.close());
  applyDefinitions(api.objects);
  const plane = startNode(api.objects, folder.dir, deps);
  ends.push(() => plane.close(endGraceMs));
  api.setLogs(plane.kubelet);
  const kubeconfig = deps.kubeconfig ?? join(folder.dir, 'kubeconfig');
  writeKubeconfig(kubeconfig, api.kubeconfig());
  if (deps.operator !== undefined) {
    const operator = new OperatorProcess(operatorCommand(kubeconfig, deps.operator.extraArgs), {
      clock,
      logger,
      processes: plane.processes,
    });
    ends.push(() => operator.stop());
  }
  return { server: api.url, kubeconfig, dataDir: folder.dir, objects: api.objects };
}

function startNode(objects: Objects, dataDir: string, deps: LocalClusterDeps): ControlPlane {
  const { clock = systemClock, logger = silentLogger } = deps;
  // In local mode, the files of the node are the files of the user, so file:/// URIs may name them.
  const runtime: Image = {
    entrypoint: [process.execPath, join(repository, 'runtime', 'main.ts')],
    env: { [env.allowFile]: 'true' },
  };
  return startControlPlane({
    objects,
    clock,
    logger,
    dataDir,
    images: new Map([[localRuntimeImage, runtime], ...(deps.images ?? [])]),
    volumes: deps.volumes ?? new Map(),
    machineEnv: deps.machineEnv ?? {},
    ...deps.controlPlane,
  });
}

async function startApi(deps: ApiServerDeps): Promise<LocalApiServer> {
  try {
    return await startApiServer(deps);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    throw new AppError(
      'BAD_FLAG',
      { flag: '--port', problem: `this user may not listen on port ${deps.port}` },
      { cause: error },
    );
  }
}

/** The operator serves its metrics on any free port, so that several local modes can run at the same time. */
function operatorCommand(kubeconfig: string, extra: readonly string[] = []): readonly string[] {
  return [
    process.execPath,
    join(repository, 'operator', 'main.ts'),
    '--kubeconfig',
    kubeconfig,
    '--service-address',
    'ClusterIP',
    '--runtime-image',
    localRuntimeImage,
    '--listen',
    '127.0.0.1:0',
    ...extra,
  ];
}

/** Creates the project's custom resource definitions, or updates the definitions of an earlier version. */
function applyDefinitions(objects: Objects): void {
  const dir = join(repository, 'crds');
  for (const file of readdirSync(dir)
    .filter((name) => name.endsWith('.yaml'))
    .sort()) {
    const wanted = parse(readFileSync(join(dir, file), 'utf8')) as NewObject;
    const stored = objects.get({ ...definitionsPath, name: wanted.metadata.name ?? '' });
    if (stored === undefined) objects.create(definitionsPath, wanted);
    else objects.update(definitionsPath, { ...stored, spec: wanted['spec'] });
  }
}

/**
 * Writes the kubeconfig. It is written atomically, because scripts wait for the file. Only its owner can read it: a
 * reader of the file could start processes as this user.
 */
function writeKubeconfig(path: string, text: string): void {
  try {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    rmSync(`${path}.new`, { force: true });
    throw new AppError(
      'BAD_FLAG',
      { flag: '--kubeconfig', problem: `${path} cannot be written: ${messageOf(error)}` },
      { cause: error },
    );
  }
}
