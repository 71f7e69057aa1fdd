/**
 * Messages between the bench and the load generator, which is another process: a job (the requests to send, for how
 * long) and its report.
 *
 * Terms: in a closed loop, a client sends its next request after the previous answer. In an open loop, each request has
 * an intended time that does not depend on answers.
 */

export type Job = {
  readonly port: number;
  /** Encoded requests, which are sent in turn. */
  readonly requests: readonly Uint8Array[];
  /** The ids of the server's processes. Their CPU time is read at the start and the end of the measured time. */
  readonly pids: readonly number[];
  /** How long the load runs before the measured time. */
  readonly warmMs: number;
  readonly ms: number;
} & (
  | { readonly kind: 'closed'; readonly clients: number }
  | {
      readonly kind: 'open';
      readonly perSecond: number;
      readonly seed: number;
      /**
       * The maximum number of requests that are sent and not answered. Further requests wait in the client; the wait
       * is part of their latency.
       */
      readonly outstanding: number;
      /** A path that is requested with GET every 20 ms during the load; absent: no such requests. */
      readonly healthPath?: string | undefined;
    }
);

export type LoadReport = {
  readonly elapsedMs: number;
  /** The number of answers with status 200 within the measured time. */
  readonly inTime: number;
  /** The latencies of answers with status 200. In an open loop, a latency begins at the intended time. */
  readonly latenciesMs: Float64Array<ArrayBuffer>;
  /** The number of other answers by status; 0 is a broken connection. */
  readonly others: Readonly<Record<number, number>>;
  /** The `retry-after` of refused requests, in seconds. */
  readonly retryAfterSeconds: readonly number[];
  /** Open loop: for each request without an answer, the time since its intended time. */
  readonly unansweredMs: readonly number[];
  /** Open loop: the median delay from a request's intended time until the client sent it. */
  readonly sentLateMs: number;
  readonly healthMs: readonly number[];
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
};
