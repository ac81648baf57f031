import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

/** A certificate with its private key, as the sign-in needs them. Holds a secret: never logged. */
export interface ClientCertificate {
  /**
   * The certificate, those that issued it, and the key without a password. The SDK takes the first certificate of a file
   * for the client's own, and of an encrypted key only what it is given a password for.
   */
  readonly pem: string;
  /** Milliseconds since the epoch. */
  readonly startsAt: number;
  readonly endsAt: number;
  /** What can work and is more likely a mistake. Continues a sentence that starts with the variable's name. */
  readonly warnings: readonly string[];
}

export type CertificateReading =
  | { readonly ok: true; readonly certificate: ClientCertificate }
  /** Continues a sentence that starts with the variable's name. Holds nothing of the file or the password. */
  | { readonly ok: false; readonly about: 'file' | 'password'; readonly problem: string };

/** What is read of a certificate file: many times what a chain and a key take. */
const maxCertificateBytes = 1_048_576;

const convert = 'convert it with `openssl pkcs12 -in <file.pfx> -out <file.pem> -nodes`';

/** Reads and checks the file of a certificate. Called again at each sign-in, since it is renewed while the service runs. */
export function readCertificate(path: string, password: string | null): CertificateReading {
  try {
    if (statSync(path).size > maxCertificateBytes) {
      return fault(`names ${JSON.stringify(path)}, which is larger than 1 MiB`);
    }
    const reading = parseCertificate(readFileSync(path), password);
    if (reading.ok || reading.about === 'password') return reading;
    return fault(`names ${JSON.stringify(path)}, which ${reading.problem}`);
  } catch (error) {
    return fault(unreadableMessage(path, error));
  }
}

/** Continues a sentence that starts with the variable that names the file. */
export function unreadableMessage(path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return `names ${JSON.stringify(path)}, which cannot be read (${code})`;
}

/** Whether the certificate is valid now is the caller's question. */
function parseCertificate(bytes: Uint8Array, password: string | null): CertificateReading {
  const text = Buffer.from(bytes)
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n');
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----/gs)];
  if (blocks.length === 0) {
    // ASN.1's SEQUENCE, with which every PFX and every DER file begins.
    const isBinary = bytes[0] === 0x30 && !/^[\x20-\x7e\s]*$/.test(text.slice(0, 200));
    return fault(isBinary ? `is not PEM but binary (PFX or DER); ${convert}` : 'holds nothing in PEM (-----BEGIN …)');
  }
  const texts = (pattern: RegExp) => blocks.filter(([, label = '']) => pattern.test(label)).map(([block]) => block);
  const certificates = readAll(texts(/^(X509 |TRUSTED )?CERTIFICATE$/), (block) => new X509Certificate(block));
  if (certificates === null) return fault('holds a certificate that cannot be read; export it again as PEM (Base64)');
  const keyTexts = texts(/PRIVATE KEY$/);
  if (certificates.length === 0) {
    return fault('holds no certificate, and needs both: the certificate that Entra knows and its private key');
  }
  if (keyTexts.length === 0) return fault(`holds no private key; append it to the certificate, or ${convert}`);
  const keys = readKeys(keyTexts, password);
  return keys.ok ? choose(certificates, keys.keys, keys.warnings) : keys;
}

function fault(problem: string, about: 'file' | 'password' = 'file'): Extract<CertificateReading, { ok: false }> {
  return { ok: false, about, problem };
}

function readAll<T>(texts: readonly string[], read: (text: string) => T): T[] | null {
  try {
    return texts.map(read);
  } catch {
    return null;
  }
}

type Keys =
  | { readonly ok: true; readonly keys: readonly KeyObject[]; readonly warnings: readonly string[] }
  | Extract<CertificateReading, { ok: false }>;

function readKeys(texts: readonly string[], password: string | null): Keys {
  const isEncrypted = texts.some((text) => /^-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED/m.test(text));
  if (isEncrypted && password === null) {
    return fault(
      'has an encrypted private key; set AZURE_CLIENT_CERTIFICATE_PASSWORD, or decrypt it with `openssl pkey`',
    );
  }
  const keys = readAll(texts, (key) => createPrivateKey({ key, format: 'pem', passphrase: password ?? '' }));
  if (keys === null) {
    return isEncrypted
      ? fault('does not open the private key of AZURE_CLIENT_CERTIFICATE_PATH', 'password')
      : fault('has a private key that cannot be read; export it again as PEM (PKCS 8)');
  }
  const unused = 'has an unencrypted private key, so AZURE_CLIENT_CERTIFICATE_PASSWORD has no effect';
  return { ok: true, keys, warnings: password !== null && !isEncrypted ? [unused] : [] };
}

/** The certificate that belongs to a key, wherever it stands in the file. */
function choose(
  certificates: readonly X509Certificate[],
  keys: readonly KeyObject[],
  warnings: readonly string[],
): CertificateReading {
  const pairs = certificates.flatMap((certificate) =>
    keys.filter((key) => certificate.checkPrivateKey(key)).map((key) => ({ certificate, key })),
  );
  const pair = pairs.find(({ key }) => key.asymmetricKeyType === 'rsa') ?? pairs[0];
  if (pair === undefined) {
    const whose = certificates.length === 1 ? 'another certificate' : `none of its ${certificates.length} certificates`;
    return fault(`has the private key of ${whose}; the file must hold a certificate and the key that belongs to it`);
  }
  const { certificate, key } = pair;
  if (key.asymmetricKeyType !== 'rsa') {
    const type = key.asymmetricKeyType?.toUpperCase();
    return fault(
      `has a key of type ${type}, with which no sign-in is possible; make a certificate with an RSA key of 2048 bits`,
    );
  }
  const isFirst = certificates[0]?.fingerprint256 === certificate.fingerprint256;
  const order =
    'does not begin with the certificate of its private key; that certificate is taken, the others are its issuers';
  const chain = chainOf(certificate, certificates).map((one) => one.toString().trim());
  return {
    ok: true,
    certificate: {
      pem: `${[...chain, key.export({ type: 'pkcs8', format: 'pem' }).toString().trim()].join('\n')}\n`,
      startsAt: certificate.validFromDate.getTime(),
      endsAt: certificate.validToDate.getTime(),
      warnings: isFirst ? warnings : [...warnings, order],
    },
  };
}

/** Each followed by its issuer, as far as the file has them. What belongs to no link is left out. */
function chainOf(own: X509Certificate, all: readonly X509Certificate[]): X509Certificate[] {
  const chain = [own];
  for (;;) {
    const last = chain.at(-1) ?? own;
    const issuer = all.find((one) => last.checkIssued(one) && !chain.some((known) => known.raw.equals(one.raw)));
    if (issuer === undefined) return chain;
    chain.push(issuer);
  }
}
