/**
 * Connects the Replayer to the sidecars of stable's pods, which provide samples, and to this pod's runtime.
 *
 * Owns:  the connections. The runtime is called at its port for sidecars, where requests are not counted and do not
 *        delay user requests.
 * Terms: stable is the revision that serves. A sample is a request that one of its pods answered and kept. A replay
 *        sends a sample to this pod too.
 */
import { Agent } from '../../../lib/node-http.ts';
import { ports } from '../../../api/names.ts';
import { present } from '../../../api/present.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { PairNews } from '../../sampling/pair-counts.ts';
import { Replayer, type ReplayerDeps, type ReplayWork } from './replayer.ts';
import { askRuntime } from '../../protocol/ask-runtime.ts';
import type { Asked } from '../asked.ts';
import { takeSamples } from '../samples-client.ts';

export type PodReplayerDeps = {
  /** The pod's own address. */
  readonly self: string;
  readonly clock: Clock;
  readonly asked: () => Asked;
  readonly ready: () => boolean;
  readonly compared: ReplayerDeps['compared'];
  readonly pairs: PairNews;
  /** The token of this pod's revision. */
  readonly token: () => string | undefined;
};

/** A take (a request for samples) may last this long: enough for a few MiB from another pod of the cluster. */
const takeDeadlineMs = 5_000;
/** Longer replays are not worthwhile, because a pause of 60 s follows each of them. */
const answerDeadlineMs = 30_000;

export function podReplayer({ self, clock, asked, ready, compared, pairs, token }: PodReplayerDeps): {
  readonly replayer: Replayer;
  readonly close: () => void;
} {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ended = new AbortController();
  const replayer = new Replayer({
    clock,
    compared,
    pairs,
    work: () => (ready() ? workIn(asked(), self) : undefined),
    take: (address, max) =>
      takeSamples({ address, port: ports.sidecar, agent, deadlineMs: takeDeadlineMs, token: asked().peersToken }, max),
    answer: ({ path, request: { body, jsonBytes } }) => {
      const question = {
        method: 'POST',
        path,
        body,
        besideUsers: true,
        ...(jsonBytes === undefined ? {} : { jsonBytes }),
      } as const;
      return askRuntime(question, {
        address: self,
        port: ports.metrics,
        agent,
        deadlineMs: answerDeadlineMs,
        token: token(),
        signal: ended.signal,
      });
    },
  });
  return {
    replayer,
    close: () => {
      ended.abort();
      agent.destroy();
    },
  };
}

/** Excludes this pod, which must not be compared with itself. */
function workIn({ peers, agreement, pairs }: Asked, self: string): ReplayWork | undefined {
  const others = peers.filter((peer) => peer !== self);
  const isNothing = (agreement === undefined && pairs === undefined) || others.length === 0;
  return isNothing ? undefined : { peers: others, ...present({ rule: agreement, pairs }) };
}
