/**
 * The software bill of materials of an image, as CycloneDX 1.5 JSON.
 * Owns: which facts are listed: names, versions, package URLs, licenses and checksums of the Debian packages, of Node
 * and of the npm packages. It contains neither a time nor a random number, so equal images have equal bills.
 * Pure.
 */
import type { DebianPackage } from './base-files.ts';

/** An npm package as the lock file and its own package.json describe it. */
export type NpmPackage = {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression; undefined when the package does not name one. */
  readonly license: string | undefined;
  /** Subresource integrity of the lock file, such as `sha512-…` in base64. */
  readonly integrity: string | undefined;
};

export type BillOf = {
  /** The image: its title, and the version of this project. */
  readonly title: string;
  readonly version: string;
  readonly debian: readonly DebianPackage[];
  /** The contents of the image's /etc/os-release. */
  readonly osRelease: string;
  readonly node: string;
  readonly npm: readonly NpmPackage[];
};

/** Where an image contains its bill. Scanners find it by the end of its name. */
export const billFile = 'usr/share/sbom/image.cdx.json';

export function billOfMaterials({ title, version, debian, osRelease, node, npm }: BillOf): string {
  const distro = distroOf(osRelease);
  const components = [
    ...debian.map((one) => debianComponent(one, distro)),
    {
      type: 'application',
      'bom-ref': `pkg:generic/node@${node}`,
      name: 'node',
      version: node,
      purl: `pkg:generic/node@${node}`,
      licenses: [{ license: { id: 'MIT' } }],
    },
    ...npm.map(npmComponent),
  ];
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      component: {
        type: 'container',
        'bom-ref': title,
        name: title,
        version,
        licenses: [{ license: { id: 'Apache-2.0' } }],
      },
    },
    components,
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function debianComponent({ name, version, architecture, sha256 }: DebianPackage, distro: string): object {
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=${distro}`;
  return { type: 'library', 'bom-ref': purl, name, version, purl, hashes: [{ alg: 'SHA-256', content: sha256 }] };
}

function npmComponent({ name, version, license, integrity }: NpmPackage): object {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const [, algorithm, digest] = /^(sha512|sha256|sha1)-([A-Za-z0-9+/=]+)$/.exec(integrity ?? '') ?? [];
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    ...(license === undefined ? {} : { licenses: [{ expression: license }] }),
    ...(digest === undefined
      ? {}
      : {
          hashes: [{ alg: `SHA-${algorithm?.slice(3)}`, content: Buffer.from(digest, 'base64').toString('hex') }],
        }),
  };
}

/** @returns such as `debian-13` */
function distroOf(osRelease: string): string {
  const value = (key: string): string => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(osRelease)?.[1] ?? 'unknown';
  return `${value('ID')}-${value('VERSION_ID')}`;
}
