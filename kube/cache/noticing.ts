/**
 * A client for a reflector that also tells somebody else how listing and watching go: a reflector itself never gives up
 * and never rejects.
 */
import type { KubeClient } from '../client/kube-client.ts';

type Reader = Pick<KubeClient, 'list' | 'watch'>;

export type Noticing = {
  /** Listing or watching failed, also by its signal. */
  readonly onError: (error: unknown) => void;
  /** A watch brought an event or a bookmark. */
  readonly onEvent?: () => void;
};

/** The same client, which tells of failures and events. */
export function noticing(client: Reader, { onError, onEvent }: Noticing): Reader {
  return {
    list: async (type, query, options) => {
      try {
        return await client.list(type, query, options);
      } catch (error) {
        onError(error);
        throw error;
      }
    },
    watch: async function* (type, query, signal) {
      try {
        for await (const event of client.watch(type, query, signal)) {
          onEvent?.();
          yield event;
        }
      } catch (error) {
        onError(error);
        throw error;
      }
    },
  };
}
