/**
 * The sidecars of the fake pods. They answer `GET http://POD_IP:8081/report` on loopback addresses. A report contains
 * the requests that a pod counted, in blocks of 20 s.
 * Owns: one listener for each pod, and the traffic that the pod reports. In the reports, golden sets have always
 * passed.
 * Limits: Linux only, because only there a process can listen on every address of 127.0.0.0/8 without preparation.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { ports } from '../../api/names.ts';
import { present } from '../../api/present.ts';
import { reportQuery, type GoldenResult, type Report } from '../../api/report.ts';
import type { GoldenConfig } from '../../api/runtime-config.ts';
import { LoopbackAddresses, type AddressRange } from '../../local/kubelet/loopback-addresses.ts';
import { Random } from '../canary/random.ts';
import { PodTraffic, type TrafficRate } from './pod-traffic.ts';

/** A range of addresses that local mode does not use. */
const range: AddressRange = { first: '127.160.0.1', size: 1_000_000 };
/** As in the real sidecar (runtime/sidecar/server.ts): the operator uses one connection for many reports. */
const keepAliveMs = 40_000;

export type ServedPod = {
  readonly uid: string;
  readonly name: string;
  readonly model: string;
  readonly revision: string;
  readonly golden: GoldenConfig | undefined;
};

/** The rate of user requests that a pod receives at this time. */
export type TrafficOf = (pod: ServedPod) => TrafficRate;

type Sidecar = { readonly pod: ServedPod; readonly server: Server; readonly traffic: PodTraffic };

export class FakeSidecars {
  readonly #addresses = new LoopbackAddresses(range);
  readonly #sidecars = new Map<string, Sidecar>();
  /** The current traffic of each pod. A scenario may replace this function. */
  trafficOf: TrafficOf = () => ({ perMinute: 400, failing: 0 });
  /** Called after each report, with the pod and with the number of the last block of the report. */
  onReport: (pod: ServedPod, until: number) => void = () => {};
  /** The number of reports that have been sent. */
  reports = 0;

  pods(): readonly ServedPod[] {
    return [...this.#sidecars.values()].map(({ pod }) => pod);
  }

  reserve(): Promise<string> {
    return this.#addresses.take([ports.sidecar]);
  }

  /** Starts the sidecar of a pod. @param ip an address from `reserve` */
  async open(ip: string, pod: ServedPod): Promise<void> {
    const seed = this.#sidecars.size + 1;
    const traffic = new PodTraffic(new Random(seed, 11), Date.now());
    const server = createServer({ keepAliveTimeout: keepAliveMs }, (request, response) =>
      this.#answer(ip, request, response),
    );
    this.#sidecars.set(ip, { pod, server, traffic });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(ports.sidecar, ip, resolve);
    });
  }

  close(ip: string): void {
    const sidecar = this.#sidecars.get(ip);
    this.#sidecars.delete(ip);
    this.#addresses.release(ip);
    sidecar?.server.close();
    sidecar?.server.closeAllConnections();
  }

  closeAll(): void {
    for (const ip of this.#sidecars.keys()) this.close(ip);
    this.#addresses.releaseAll();
  }

  #answer(ip: string, request: IncomingMessage, response: ServerResponse): void {
    const sidecar = this.#sidecars.get(ip);
    if (sidecar === undefined) {
      response.destroy();
      return;
    }
    const { pod, traffic } = sidecar;
    const from = Number(new URL(request.url ?? '/', 'http://pod').searchParams.get(reportQuery.blocksFrom) ?? 0);
    traffic.advance(Date.now(), this.trafficOf(pod));
    const blocks = traffic.blocks(from);
    const report: Report = {
      schema: 1,
      bootId: `boot-${pod.uid}`,
      seq: traffic.seq,
      revision: pod.revision,
      ready: true,
      blocks,
      ...present({ golden: passed(pod.golden) }),
    };
    this.reports += 1;
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
    response.end(gzipSync(JSON.stringify(report)));
    this.onReport(pod, blocks.until);
  }
}

function passed(golden: GoldenConfig | undefined): GoldenResult | undefined {
  if (golden === undefined) return undefined;
  const score = golden.max ?? 1;
  return { id: golden.id, state: 'Done', n: 16, done: 16, passed: 16, compared: 16, score, worst: score };
}
