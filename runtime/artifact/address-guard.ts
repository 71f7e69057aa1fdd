/**
 * Keeps downloads away from addresses that no model is served at: link-local and cloud metadata.
 *
 * Owns:  the list, and the check at the only place where it cannot be fooled: when a name has been resolved and
 *        the connection is made, for every redirect anew.
 * Why:   a URI comes from whoever may write an OnnxModel; a node's metadata service hands out the node's credentials.
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP } from 'node:net';

const blocked = new BlockList();
blocked.addSubnet('169.254.0.0', 16, 'ipv4'); // link-local; 169.254.169.254 is most clouds' metadata service
blocked.addSubnet('0.0.0.0', 8, 'ipv4');
blocked.addAddress('100.100.100.200', 'ipv4'); // Alibaba Cloud
blocked.addAddress('192.0.0.192', 'ipv4'); // Oracle Cloud
blocked.addSubnet('fe80::', 10, 'ipv6');
blocked.addAddress('::', 'ipv6');
blocked.addAddress('fd00:ec2::254', 'ipv6'); // Amazon over IPv6

/** @param address an IP address, of a URL also in brackets; anything else is not blocked */
export function isBlockedAddress(address: string): boolean {
  const bare = address.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(bare);
  if (family === 0) return false;
  // Also catches IPv4 in IPv6 clothing, ::ffff:169.254.169.254: BlockList compares those as IPv4.
  return blocked.check(bare, family === 6 ? 'ipv6' : 'ipv4') || embeddedIpv4(bare).some((inner) => blocked.check(inner, 'ipv4'));
}

/** NAT64 (64:ff9b::/96) carries an IPv4 address in its last 32 bits, and a gateway sends it on there. */
function embeddedIpv4(address: string): string[] {
  const tail = /^64:ff9b::(?:([0-9a-f]{1,4}):([0-9a-f]{1,4})|(\d+\.\d+\.\d+\.\d+))$/i.exec(address);
  if (tail === null) return [];
  if (tail[3] !== undefined) return [tail[3]];
  const [high, low] = [Number.parseInt(tail[1] ?? '0', 16), Number.parseInt(tail[2] ?? '0', 16)];
  return [[high >> 8, high & 255, low >> 8, low & 255].join('.')];
}

type LookupCallback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;
type Resolve = (hostname: string, options: LookupOptions, callback: LookupCallback) => void;

/** A `lookup` for net.connect that resolves a name and fails when any of its addresses is blocked. */
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
  return `it leads to ${address}, a link-local or metadata address, which models are not fetched from`;
}
