import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { bad, fileProblem, problemOf, Refusal } from './variable.ts';

/** Many times what a chain and a key take. */
const maxCertificateBytes = 1_048_576;

const convert = 'convert it with `openssl pkcs12 -in <file.pfx> -out <file.pem> -nodes`';

class PasswordError extends Refusal {}

/**
 * Reads and checks the file of a certificate. Called again at each sign-in, since it is renewed while the service runs.
 * Whether the certificate is valid now is the caller's question. A problem holds nothing of the file or the password.
 */
export function readCertificate(path: string, password: string | null) {
  try {
    if (statSync(path).size > maxCertificateBytes) throw bad('is larger than 1 MiB');
    return { ok: true, certificate: parseCertificate(readFileSync(path), password) } as const;
  } catch (error) {
    const problem = problemOf(error);
    const ofFile = { name: 'AZURE_CLIENT_CERTIFICATE_PATH', message: fileProblem(path, problem) };
    const ofPassword = { name: 'AZURE_CLIENT_CERTIFICATE_PASSWORD', message: problem };
    return { ok: false, problem: error instanceof PasswordError ? ofPassword : ofFile } as const;
  }
}

/**
 * Holds a secret: never logged. The text has the certificate, those that issued it, and the key without a password,
 * since the SDK takes the first certificate of a file for the client's own, and of an encrypted key only what it is
 * given a password for. Times are milliseconds since the epoch. Warnings continue a sentence that starts with the
 * variable's name.
 */
function parseCertificate(bytes: Uint8Array, password: string | null) {
  const text = new TextDecoder().decode(bytes).replaceAll(/\r\n?/g, '\n');
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----/gs)];
  if (blocks.length === 0) {
    // ASN.1's SEQUENCE, with which every PFX and every DER file begins.
    const isBinary = bytes[0] === 0x30 && !/^[\x20-\x7e\s]*$/.test(text.slice(0, 200));
    throw bad(isBinary ? `is not PEM but binary (PFX or DER); ${convert}` : 'holds nothing in PEM (-----BEGIN …)');
  }
  const texts = (pattern: RegExp) => blocks.filter(([, label = '']) => pattern.test(label)).map(([block]) => block);
  const certificates = readCertificates(texts(/^(X509 |TRUSTED )?CERTIFICATE$/));
  const needs = 'needs both: the certificate that Entra knows and its private key';
  if (certificates.length === 0) throw bad(`holds no certificate, and ${needs}`);
  const keyTexts = texts(/PRIVATE KEY$/);
  if (keyTexts.length === 0) throw bad(`holds no private key; append it to the certificate, or ${convert}`);
  const isEncrypted = keyTexts.some((one) => /^-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED/m.test(one));
  const { certificate, key } = pairOf(certificates, readKeys(keyTexts, isEncrypted, password));
  const parts = [...chainOf(certificate, certificates), key.export({ type: 'pkcs8', format: 'pem' })];
  return {
    pem: parts.map((part) => `${part.toString().trim()}\n`).join(''),
    startsAt: certificate.validFromDate.getTime(),
    endsAt: certificate.validToDate.getTime(),
    warnings: [
      password !== null &&
        !isEncrypted &&
        'has an unencrypted private key, so AZURE_CLIENT_CERTIFICATE_PASSWORD has no effect',
      certificates[0] !== certificate &&
        'does not begin with the certificate of its private key; that certificate is taken, the others are its issuers',
    ].filter((warning) => warning !== false),
  };
}

/** @throws Refusal when one of these PEM blocks is no certificate */
export function readCertificates(blocks: readonly string[]): X509Certificate[] {
  const problem = 'holds a certificate that cannot be read; export it again as PEM (Base64)';
  return readAll(blocks, (block) => new X509Certificate(block), bad(problem));
}

function readAll<T>(texts: readonly string[], read: (text: string) => T, otherwise: Error): T[] {
  try {
    return texts.map(read);
  } catch {
    throw otherwise;
  }
}

function readKeys(texts: readonly string[], isEncrypted: boolean, password: string | null): KeyObject[] {
  if (isEncrypted && password === null) {
    throw bad('has an encrypted private key; set AZURE_CLIENT_CERTIFICATE_PASSWORD, or decrypt it with `openssl pkey`');
  }
  const otherwise = isEncrypted
    ? new PasswordError('does not open the private key of AZURE_CLIENT_CERTIFICATE_PATH')
    : bad('has a private key that cannot be read; export it again as PEM (PKCS 8)');
  return readAll(texts, (key) => createPrivateKey({ key, format: 'pem', passphrase: password ?? '' }), otherwise);
}

/** The certificate that belongs to a key, wherever it stands in the file. */
function pairOf(certificates: readonly X509Certificate[], keys: readonly KeyObject[]) {
  const pairs = certificates.flatMap((certificate) =>
    keys.filter((key) => certificate.checkPrivateKey(key)).map((key) => ({ certificate, key })),
  );
  const pair = pairs.find(({ key }) => key.asymmetricKeyType === 'rsa') ?? pairs[0];
  if (pair === undefined) {
    const whose = certificates.length === 1 ? 'another certificate' : `none of its ${certificates.length} certificates`;
    throw bad(`has the private key of ${whose}; the file must hold a certificate and the key that belongs to it`);
  }
  const type = pair.key.asymmetricKeyType;
  if (type === 'rsa') return pair;
  const problem = `has a key of type ${type?.toUpperCase()}, with which no sign-in is possible`;
  throw bad(`${problem}; make a certificate with an RSA key of 2048 bits`);
}

/** Each followed by its issuer, as far as the file has them. What belongs to no link is left out. */
function chainOf(own: X509Certificate, all: readonly X509Certificate[]): X509Certificate[] {
  const chain = [own];
  // The loop goes on with what it appends.
  for (const last of chain) {
    const issuer = all.find((one) => last.checkIssued(one) && !chain.some((known) => known.raw.equals(one.raw)));
    if (issuer !== undefined) chain.push(issuer);
  }
  return chain;
}
