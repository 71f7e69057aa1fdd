/**
 * The target of the end-to-end stories: local mode (a cluster in one process) or a real cluster. Owns: the interface
 * `Target`. It hides from the stories how the control plane starts and how a folder becomes a volume claim.
 */
import type { KubeConfig } from '@kubernetes/client-node';

export interface Target {
  /** `local mode` or `a cluster`. */
  readonly name: string;
  readonly kubeConfig: KubeConfig;
  /** The image of the operator's pods. */
  readonly runtimeImage: string;
  /** A kubeconfig file, for programs that a story starts. */
  readonly kubeconfigFile: string;
  /** Makes the claim `models` in a namespace: read-only, with the files of `modelsFolder`. */
  offerModels(namespace: string): Promise<void>;
  /** Removes what `offerModels` made outside the namespace. */
  withdrawModels(namespace: string): Promise<void>;
  /** The last lines of output of the target's processes, printed when a story fails. */
  lastLines(): string;
  close(): Promise<void>;
}

/** The claim with the stories' models. */
export const claimName = 'models';
