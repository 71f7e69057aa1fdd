/**
 * The images that this repository builds: what each one runs, and how it is described.
 * Owns: the entry point, the environment and the labels of each image. The files images/NAME/Dockerfile repeat them,
 * and test/unit/scripts/images/dockerfiles.test.ts compares.
 * Pure.
 */
import { nativeEnvironment } from '../../api/names.ts';
import { nodeFlags, startEnvironment } from '../../operator/start-flags.ts';
import { defaultOperatorTag, defaultTag } from './default-tag.ts';

export const imageNames = ['operator', 'runtime'] as const;
export type ImageName = (typeof imageNames)[number];

export type ImageKind = {
  readonly name: ImageName;
  readonly defaultTag: string;
  /** The compiler's configuration, a file in this folder. It decides which sources are in the image. */
  readonly tsconfig: string;
  /** Imported packages that the program runs without, in the image. */
  readonly packagesLeftOut: readonly string[];
  readonly entrypoint: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /**
   * Arguments with which the entry point loads the whole program and ends with code 0. What V8 compiles in this run is
   * kept in the image (compile-cache.ts). Absent: the image has no compiled code.
   */
  readonly trialRun?: readonly string[];
};

/** The user id and the group id that containers run with. */
export const userId = 65534;
/** The root of the program in an image. */
export const appFolder = '/app';
/** The major version of Node in an image; the entry point's flags depend on it. */
export const nodeMajor = 26;

const commonEnv = {
  PATH: '/usr/local/bin',
  NODE_ENV: 'production',
};

const commonLabels = {
  'org.opencontainers.image.licenses': 'Apache-2.0',
  'org.opencontainers.image.vendor': 'onnx-operator',
};

export const imageKinds: Readonly<Record<ImageName, ImageKind>> = {
  operator: {
    name: 'operator',
    defaultTag: defaultOperatorTag,
    tsconfig: 'tsconfig.operator.json',
    // Only kubeconfigs with an exec plugin or an auth provider need it, and the image contains no such plugin.
    packagesLeftOut: ['@kubernetes/client-node'],
    entrypoint: ['/usr/local/bin/node', ...nodeFlags(nodeMajor), `${appFolder}/operator/main.js`],
    env: {
      ...commonEnv,
      ...startEnvironment,
      NODE_COMPILE_CACHE: `${appFolder}/node_modules/.cache/compiled`,
      // Without this setting, the name of the folder contains the user id, and another user does not find the code.
      NODE_COMPILE_CACHE_PORTABLE: '1',
    },
    labels: {
      'org.opencontainers.image.title': 'onnx-operator',
      'org.opencontainers.image.description': 'The operator of OnnxModels: serves ONNX models and judges every change',
      ...commonLabels,
    },
    trialRun: ['--help'],
  },
  runtime: {
    name: 'runtime',
    defaultTag,
    tsconfig: 'tsconfig.build.json',
    packagesLeftOut: [],
    entrypoint: ['/usr/local/bin/node', `${appFolder}/runtime/main.js`],
    env: { ...commonEnv, ...nativeEnvironment },
    labels: {
      'org.opencontainers.image.title': 'onnx-runtime',
      'org.opencontainers.image.description': 'Serves one ONNX model: prepare, runtime and sidecar of onnx-operator',
      ...commonLabels,
    },
  },
};
