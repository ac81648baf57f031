import assert from 'node:assert/strict';

/** What may never be written to a log, whatever a test does: tokens (JSON Web Tokens begin so) and e-mail addresses. */
const FORBIDDEN: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['a token', /eyJ[A-Za-z0-9_-]{10,}\./],
  ['an Authorization value', /\bBearer +[A-Za-z0-9._~+/-]{8,}/],
  ['an e-mail address', /[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}/],
];
/** From the bodies that the tests send: test/kinds/request-bodies.ts. */
const KNOWN_TEXTS = ['INC-4411', 'need SELECT', 'I need access to this', 'Zoë', 'Müller'];
/** Variables whose value is a secret. */
const SECRET_VARIABLES = [
  'APONO_WEBHOOK_SECRET',
  'APONO_WEBHOOK_SECRET_PREVIOUS',
  'AZURE_CLIENT_SECRET',
  'ADMIN_TOKEN',
  'METRICS_TOKEN',
];
/** Shorter ones stand in log lines by chance; such a secret is one that the configuration refuses. */
const MIN_LENGTH = 8;
/** Members of a body that hold what a person wrote, or who they are. */
const PRIVATE_MEMBERS = new Set(['justification', 'email', 'requester_email', 'requester_name']);

export function secretsOf(env: Readonly<Record<string, string | undefined>>): string[] {
  const password = /^postgres(?:ql)?:\/\/[^:@/]*:([^@/]+)@/.exec(env['OUTBOX_URL'] ?? '')?.[1];
  return [...SECRET_VARIABLES.map((name) => env[name]), password].filter(
    (value): value is string => value !== undefined && value.length >= MIN_LENGTH,
  );
}

/** Justifications, names and addresses in a body that is JSON; none where it is not. */
export function privateTexts(body: string | Uint8Array): string[] {
  const found: string[] = [];
  try {
    JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body), (key, value: unknown) => {
      if (PRIVATE_MEMBERS.has(key) && typeof value === 'string') found.push(value);
    });
  } catch {
    // What is no JSON holds nothing that could be named here.
  }
  return found.filter((text) => text.length >= MIN_LENGTH).map((text) => text.slice(0, 200));
}

/** `texts`: secrets, and what a person wrote. A log holds them as JSON does. */
export function assertNothingPrivate(log: string, texts: Iterable<string>): void {
  for (const [name, pattern] of FORBIDDEN) {
    const found = pattern.exec(log);
    assert.equal(found, null, `${name} stands in the log: ${lineAround(log, found?.index ?? 0)}`);
  }
  for (const text of [...KNOWN_TEXTS, ...texts]) {
    for (const spelling of new Set([text, JSON.stringify(text).slice(1, -1)])) {
      const at = log.indexOf(spelling);
      assert.equal(at, -1, `"${spelling}" stands in the log: ${lineAround(log, at)}`);
    }
  }
}

function lineAround(log: string, at: number): string {
  const end = log.indexOf('\n', at);
  return log.slice(log.lastIndexOf('\n', at) + 1, end === -1 ? undefined : end).slice(0, 2_000);
}
