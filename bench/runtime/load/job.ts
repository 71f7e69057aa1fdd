/** What the bench asks of the load generator, and what it reports. Both travel between processes. */

export type Job = {
  readonly port: number;
  /** Encoded requests, which are sent in turn. */
  readonly requests: readonly Uint8Array[];
  /** The processes of the server, whose CPU time is read at the begin and the end of the measured time. */
  readonly pids: readonly number[];
  /** Load that is not measured, before the measured time. */
  readonly warmMs: number;
  readonly ms: number;
} & (
  | { readonly kind: 'closed'; readonly clients: number }
  | {
      readonly kind: 'open';
      readonly perSecond: number;
      readonly seed: number;
      /** The most requests that are sent and not answered; later ones wait in the client, and their time runs. */
      readonly outstanding: number;
      /** The path of a GET every 20 ms beside the load; absent: none. */
      readonly healthPath?: string | undefined;
    }
);

export type LoadReport = {
  readonly elapsedMs: number;
  /** The number of answers with status 200 within the measured time. */
  readonly inTime: number;
  /** Of answers with status 200. In an open loop they count from the intended time. */
  readonly latenciesMs: Float64Array<ArrayBuffer>;
  /** The number of other answers by status; 0 is a broken connection. */
  readonly others: Readonly<Record<number, number>>;
  /** The `retry-after` of refused requests, in seconds. */
  readonly retryAfterSeconds: readonly number[];
  /** Open loop: for requests without an answer, the time since they were intended. */
  readonly unansweredMs: readonly number[];
  /** Open loop: how much later than intended the median request was sent by the client itself. */
  readonly sentLateMs: number;
  readonly healthMs: readonly number[];
  readonly serverCpuSeconds: number;
  readonly clientCpuSeconds: number;
};
