/**
 * Where the end-to-end stories are told: local mode or a real cluster. The stories do not know which.
 *
 * Owns:  the port and its words. What differs between the two is here and nowhere else: how the control plane comes up
 *        and how a folder becomes a claim.
 */
import type { KubeConfig } from '@kubernetes/client-node';

export interface Target {
  /** `local mode` or `a cluster`. */
  readonly name: string;
  readonly kubeConfig: KubeConfig;
  /** Image that the operator gives to pods. */
  readonly runtimeImage: string | undefined;
  /** File for programs that take one. */
  readonly kubeconfigFile: string;
  /** Makes the claim `models` of a namespace: read-only, holding `modelsFolder`. */
  offerModels(namespace: string): Promise<void>;
  /** Takes away what `offerModels` made outside the namespace. */
  withdrawModels(namespace: string): Promise<void>;
  /** What its processes said last; shown when a story fails. */
  lastLines(): string;
  close(): Promise<void>;
}

/** Name of the claim that holds the models of the stories. */
export const claimName = 'models';
