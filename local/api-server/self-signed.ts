/**
 * A certificate for local mode's API server, created at its start. Clients trust it through the kubeconfig.
 * Owns: the content of the certificate, for one ECDSA P-256 key. Node can sign but cannot create a certificate, so
 * @peculiar/asn1-x509 encodes it (RFC 5280, DER).
 * Why: kubectl sends a token over TLS only. Without a token, every user of this machine could start processes as the
 * user of local mode.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_kp_serverAuth,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

export type SelfSigned = {
  /** The certificate as PEM. Clients also trust it as a certificate authority. */
  readonly certificate: string;
  /** The private key as PEM (PKCS #8). It is never written to a file. */
  readonly privateKey: string;
};

const ecdsaWithSha256 = '1.2.840.10045.4.3.2';
const commonName = '2.5.4.3';
const dayMs = 86_400_000;

/**
 * @param addresses IPv4 addresses of the server; the name `localhost` is always added
 * @param nowMs milliseconds since the epoch; the certificate is valid for ten years, from an hour before this time
 */
export function selfSigned(addresses: readonly string[], nowMs: number): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const value = new AttributeValue({ utf8String: 'onnx-operator local mode' });
  const name = new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: commonName, value })])]);
  const signatureAlgorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: signatureAlgorithm,
    issuer: name,
    validity: new Validity({ notBefore: new Date(nowMs - dayMs / 24), notAfter: new Date(nowMs + 3650 * dayMs) }),
    subject: name,
    subjectPublicKeyInfo: AsnConvert.parse(publicKey.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo),
    extensions: extensionsFor(addresses),
  });
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), privateKey);
  const signatureValue = new Uint8Array(signature).buffer;
  const der = AsnConvert.serialize(new Certificate({ tbsCertificate, signatureAlgorithm, signatureValue }));
  return { certificate: pem(der), privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function extensionsFor(addresses: readonly string[]): Extensions {
  const { digitalSignature, keyCertSign } = KeyUsageFlags;
  const names = [
    new GeneralName({ dNSName: 'localhost' }),
    ...addresses.map((iPAddress) => new GeneralName({ iPAddress })),
  ];
  return new Extensions([
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: true }), true),
    // The certificate is self-signed, so its key needs keyCertSign, the right to sign a certificate.
    extension(id_ce_keyUsage, new KeyUsage(digitalSignature | keyCertSign), true),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth]), false),
    extension(id_ce_subjectAltName, new SubjectAlternativeName(names), false),
  ]);
}

function extension(extnID: string, value: object, critical: boolean): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** 16 random bytes, positive and without a leading zero byte. */
function serialNumber(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.buffer;
}

function pem(der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
