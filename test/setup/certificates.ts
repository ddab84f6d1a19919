import 'reflect-metadata';
import { createPrivateKey, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
  type JsonGeneralNames,
  type X509Certificate,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY = 86_400_000;

/** In PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
  readonly serialNumber: string;
}

export interface CertificateRequest {
  readonly commonName: string;
  /** The hosts that the certificate is valid for. */
  readonly names?: JsonGeneralNames;
  readonly expired?: boolean;
}

/** An authority that issues the certificates of the tests. */
export class CertificateAuthority {
  readonly #certificate: X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
  }

  static async create(commonName: string): Promise<CertificateAuthority> {
    const keys = await generateKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: `CN=${commonName}`,
      keys,
      ...validity(false),
      extensions: [new BasicConstraintsExtension(true)],
    });
    return new CertificateAuthority(certificate, keys);
  }

  get certificate(): string {
    return this.#certificate.toString('pem');
  }

  async issue({ commonName, names = [], expired = false }: CertificateRequest): Promise<Issued> {
    const keys = await generateKeys();
    const certificate = await X509CertificateGenerator.create({
      subject: `CN=${commonName}`,
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      ...validity(expired),
      extensions: names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : [],
    });
    return {
      certificate: certificate.toString('pem'),
      key: await exportKey(keys.privateKey),
      serialNumber: certificate.serialNumber,
    };
  }

  async revoke(certificates: readonly Issued[]): Promise<string> {
    const list = await X509CrlGenerator.create({
      issuer: this.#certificate.subject,
      thisUpdate: new Date(Date.now() - DAY),
      nextUpdate: new Date(Date.now() + DAY),
      signingAlgorithm: ALGORITHM,
      signingKey: this.#keys.privateKey,
      entries: certificates.map(({ serialNumber }) => ({ serialNumber, revocationDate: new Date() })),
    });
    return PemConverter.encode(list.rawData, 'X509 CRL');
  }
}

/** Returns the same key, protected by a passphrase. */
export function encryptKey(key: string, passphrase: string): string {
  return createPrivateKey(key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
    .toString();
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString();
}

function validity(expired: boolean): { notBefore: Date; notAfter: Date; signingAlgorithm: typeof ALGORITHM } {
  const notAfter = new Date(Date.now() + (expired ? -DAY : DAY));
  return { notBefore: new Date(Date.now() - 2 * DAY), notAfter, signingAlgorithm: ALGORITHM };
}
