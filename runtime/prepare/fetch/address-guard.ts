/**
 * Blocks downloads from link-local and cloud metadata addresses: a user who may create an OnnxModel must not get the
 * node's credentials from the metadata service.
 *
 * Owns:  the list of blocked addresses, and the check of every connection's address, also after a redirect. Loopback
 *        and private addresses are allowed: the web server with the model may be inside the cluster.
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP } from 'node:net';

/**
 * Each network with the document that reserves or describes it. A comment may shorten an address of the network to its
 * last part, such as `::254`.
 */
const networks: readonly (readonly [network: string, bits: number])[] = [
  ['0.0.0.0', 8], // RFC 1122: this host
  // RFC 3927: link-local; metadata of AWS (also .170.2, .170.23), Azure, GCP, OCI, OpenStack and most others
  ['169.254.0.0', 16],
  ['224.0.0.0', 4], // RFC 5771: multicast
  ['255.255.255.255', 32], // RFC 919: broadcast
  ['192.0.0.0', 24], // RFC 6890: protocol assignments; 192.0.0.192 is Oracle Cloud Classic's metadata
  ['168.63.129.16', 32], // Azure WireServer: learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
  ['100.100.100.200', 32], // Alibaba Cloud: alibabacloud.com/help/ecs/user-guide/view-instance-metadata
  ['::', 128], // RFC 4291: unspecified
  ['fe80::', 10], // RFC 4291: link-local
  ['fec0::', 10], // RFC 3879: site-local, deprecated
  ['ff00::', 8], // RFC 4291: multicast
  ['fd00:ec2::', 32], // AWS: ::254 metadata, ::23 EKS Pod Identity: docs.aws.amazon.com/AWSEC2/latest/UserGuide
  ['fd20:ce::', 32], // GCP: ::254 metadata: cloud.google.com/compute/docs/metadata/querying-metadata
  ['fd00:c1::', 32], // OCI: ::a9fe:a9fe metadata: docs.oracle.com/iaas/Content/Compute/Tasks/gettingmetadata.htm
  ['fd00:42::', 32], // Scaleway: ::42 metadata: scaleway.com/en/docs/instances
];

const blocked = new BlockList();
for (const [network, bits] of networks) blocked.addSubnet(network, bits, isIP(network) === 6 ? 'ipv6' : 'ipv4');

/**
 * An IPv6 address that ends with one of these metadata addresses is blocked, whatever its prefix is: a cluster may use
 * its own NAT64 prefix (RFC 6052), which this code cannot know.
 */
const metadataAddresses: ReadonlySet<string> = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '169.254.170.23',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
]);

/** @param address an IP address, with or without brackets and zone; other text is not blocked */
export function isBlockedAddress(address: string): boolean {
  const bare = address.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
  const family = isIP(bare);
  if (family === 0) return false;
  if (family === 4) return blocked.check(bare, 'ipv4');
  const bytes = bytesOf(bare);
  return (
    blocked.check(bare, 'ipv6') ||
    embeddedIpv4(bytes).some((inner) => blocked.check(inner, 'ipv4')) ||
    metadataAddresses.has(dotted(bytes.slice(12)))
  );
}

/**
 * The IPv4 addresses to which a translator, a tunnel or the operating system may send a packet for this IPv6 address.
 */
function embeddedIpv4(bytes: readonly number[]): readonly string[] {
  return translations
    .filter(({ prefix }) => prefix.every((byte, i) => byte === bytes[i]))
    .flatMap(({ inside }) => inside(bytes))
    .map(dotted);
}

type Translation = {
  readonly prefix: readonly number[];
  readonly inside: (bytes: readonly number[]) => readonly (readonly number[])[];
};

const zeros = (count: number): readonly number[] => Array.from({ length: count }, () => 0);
const last = (bytes: readonly number[]): readonly (readonly number[])[] => [bytes.slice(12)];

const translations: readonly Translation[] = [
  // IPv4-compatible, RFC 4291 2.5.5.1, deprecated. ::1 has the same prefix, but is the loopback address.
  {
    prefix: zeros(12),
    inside: (bytes) => (bytes[15] === 1 && bytes.slice(12, 15).every((byte) => byte === 0) ? [] : last(bytes)),
  },
  // IPv4-mapped, RFC 4291 2.5.5.2, and IPv4-translated, RFC 2765: the operating system or a translator sends IPv4.
  { prefix: [...zeros(10), 0xff, 0xff], inside: last },
  { prefix: [...zeros(8), 0xff, 0xff, 0, 0], inside: last },
  // NAT64: the well-known prefix (RFC 6052) and the local-use prefix (RFC 8215). A network may use 48, 56, 64 or 96
  // bits of the local-use prefix, so the IPv4 address may be at four places.
  { prefix: [0, 0x64, 0xff, 0x9b, ...zeros(8)], inside: last },
  {
    prefix: [0, 0x64, 0xff, 0x9b, 0, 1],
    inside: (bytes) => [
      ...last(bytes),
      [...bytes.slice(6, 8), ...bytes.slice(9, 11)],
      [...bytes.slice(7, 8), ...bytes.slice(9, 12)],
      bytes.slice(9, 13),
    ],
  },
  // 6to4, RFC 3056: the IPv4 address of the site's router follows these 16 bits.
  { prefix: [0x20, 0x02], inside: (bytes) => [bytes.slice(2, 6)] },
  // Teredo, RFC 4380: the server's address, and the client's address with every bit inverted.
  { prefix: [0x20, 0x01, 0, 0], inside: (bytes) => [bytes.slice(4, 8), bytes.slice(12).map((byte) => byte ^ 0xff)] },
  // ISATAP, RFC 5214: any prefix, then interface identifier 0000:5efe or 0200:5efe and the address.
  {
    prefix: [],
    inside: (bytes) =>
      (bytes[8] === 0 || bytes[8] === 2) && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe
        ? last(bytes)
        : [],
  },
];

function dotted(bytes: readonly number[]): string {
  return bytes.join('.');
}

/**
 * The 16 bytes of an IPv6 address.
 * @param address must satisfy isIP(address) === 6 and have no zone
 */
function bytesOf(address: string): readonly number[] {
  const [head = '', tail] = address.split('::', 2);
  const [before, after] = [wordsOf(head), wordsOf(tail ?? '')];
  const words = tail === undefined ? before : [...before, ...zeros(8 - before.length - after.length), ...after];
  return words.flatMap((word) => [word >> 8, word & 255]);
}

function wordsOf(part: string): readonly number[] {
  if (part === '') return [];
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;
type Resolve = (hostname: string, options: LookupOptions, callback: LookupCallback) => void;

/** A `lookup` for net.connect that resolves a name and fails if any of its addresses is blocked. */
export function guardedLookup(resolve: Resolve = dnsLookup as Resolve): Resolve {
  return (hostname, options, callback) => {
    resolve(hostname, options, (error, address, family) => {
      const all = Array.isArray(address) ? address.map((entry) => entry.address) : [address];
      const bad = error === null ? all.find((one) => isBlockedAddress(one)) : undefined;
      if (bad === undefined) return callback(error, address, family);
      return callback(Object.assign(new Error(blockedMessage(bad)), { code: blockedCode }), address, family);
    });
  };
}

export const blockedCode = 'ERR_ADDRESS_BLOCKED';

export function blockedMessage(address: string): string {
  return `it resolves to ${address}, a link-local or metadata address; models are not fetched from those`;
}
