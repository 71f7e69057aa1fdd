/**
 * A certificate for local mode's API server, created at its start; clients trust it through the kubeconfig.
 * Owns: writing the X.509 structure (RFC 5280, DER) for one ECDSA P-256 key: Node can sign but cannot create a
 * certificate.
 * Why: kubectl sends a token over TLS only. Without a token, every user of this machine could start processes as the
 * user of local mode.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export type SelfSigned = {
  /** PEM. Clients trust it as an authority too. */
  readonly certificate: string;
  /** PEM, PKCS #8. Never written to a file. */
  readonly privateKey: string;
};

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  dnsName: 0x82,
  ipAddress: 0x87,
} as const;

const oids = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;

const dayMs = 86_400_000;

/**
 * @param addresses IPv4 addresses of the server; `localhost` is always among the names
 * @param nowMs milliseconds since the epoch; the certificate is valid from an hour before, for ten years
 */
export function selfSigned(addresses: readonly string[], nowMs: number): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(
    element(tags.set, sequence(oid(oids.commonName), element(tags.utf8, Buffer.from('onnx-operator local mode')))),
  );
  const algorithm = sequence(oid(oids.ecdsaWithSha256));
  const toBeSigned = sequence(
    element(tags.version, integer(Buffer.from([2]))),
    integer(serialNumber()),
    algorithm,
    name,
    sequence(time(nowMs - dayMs / 24), time(nowMs + 3650 * dayMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(tags.extensions, sequence(...extensions(addresses))),
  );
  const signature = sign('sha256', toBeSigned, privateKey);
  const der = sequence(toBeSigned, algorithm, element(tags.bitString, Buffer.from([0]), signature));
  return { certificate: pem(der), privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function extensions(addresses: readonly string[]): readonly Buffer[] {
  const names = [
    element(tags.dnsName, Buffer.from('localhost')),
    ...addresses.map((address) => element(tags.ipAddress, Buffer.from(address.split('.').map(Number)))),
  ];
  return [
    extension(oids.basicConstraints, sequence(element(tags.boolean, Buffer.from([0xff]))), true),
    // digitalSignature (bit 0) and keyCertSign (bit 5), because it is its own issuer.
    extension(oids.keyUsage, element(tags.bitString, Buffer.from([2, 0b1000_0100])), true),
    extension(oids.extendedKeyUsage, sequence(oid(oids.serverAuth)), false),
    extension(oids.subjectAltName, sequence(...names), false),
  ];
}

function extension(id: string, value: Buffer, critical: boolean): Buffer {
  return sequence(
    oid(id),
    ...(critical ? [element(tags.boolean, Buffer.from([0xff]))] : []),
    element(tags.octetString, value),
  );
}

/** 16 random bytes, positive and without a leading zero byte. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return element(tags.sequence, ...parts);
}

function integer(bytes: Buffer): Buffer {
  return element(tags.integer, bytes);
}

/** YYYYMMDDHHMMSSZ. */
function time(ms: number): Buffer {
  return element(tags.generalizedTime, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\.\d+Z$/g, '')}Z`));
}

/**
 * X.690 8.19: the first two arcs are one number; each number is in base 128 with the high bit on all but its last byte.
 */
function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  return element(tags.oid, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128))
    digits.unshift((left & 0x7f) | 0x80);
  return digits;
}

/** X.690 8.1: tag, length, content. */
function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOf(content.length)]), content]);
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) bytes.unshift(left & 0xff);
  return [0x80 | bytes.length, ...bytes];
}

function pem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
