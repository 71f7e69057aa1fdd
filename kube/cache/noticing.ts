/**
 * Reports the failures and the events of a reflector's lists and watches. A reflector keeps a cache of one type of
 * objects, and retries for ever. A caller that must give up after some failures counts them with these callbacks.
 */
import type { KubeClient } from '../client/kube-client.ts';

type Reader = Pick<KubeClient, 'list' | 'watch'>;

export type Noticing = {
  /** A list or watch failed, or was aborted. */
  readonly onError: (error: unknown) => void;
  /** A watch brought an event or a bookmark. */
  readonly onEvent?: () => void;
};

/** The same client, with callbacks for failed lists and watches, and for events. */
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
