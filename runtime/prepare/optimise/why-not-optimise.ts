/**
 * Decides whether the optimised form of a model is built.
 * Owns: the rule, and the note for the user. Pure.
 */
import type { ProviderName } from '../../../api/choices.ts';

export type OptimiseFacts = {
  readonly first: ProviderName;
  readonly weightsBytes: number;
  readonly fromBytes: number;
  /** True if the original ran on generated inputs. */
  readonly ran: boolean;
  /** Peak memory of loading and running the original. */
  readonly peakBytes: number;
  readonly roomBytes: number | undefined;
};

/**
 * @returns undefined when the optimised form should be built; otherwise an object with a note about the reason. The
 *   note is absent for a small model and for a provider other than CPU: users do not expect an optimised form then.
 */
export function whyNotOptimise({
  first,
  weightsBytes,
  fromBytes,
  ran,
  peakBytes,
  roomBytes = Infinity,
}: OptimiseFacts): { readonly note?: string } | undefined {
  if (first !== 'CPU' || weightsBytes < fromBytes) return {};
  if (!ran)
    return {
      note: 'serving the original model, without shared weights: no run was possible to check the optimised form',
    };
  // Writing the optimised form needs memory for one more copy of the weights than loading does (measured: 3 times the
  // size of the weights instead of 2).
  const needBytes = peakBytes + weightsBytes;
  if (needBytes <= roomBytes) return undefined;
  return {
    note:
      `serving the original model, without shared weights: building the optimised form needs about ${needBytes} ` +
      `bytes, the memory limit leaves ${Math.floor(roomBytes)}`,
  };
}
