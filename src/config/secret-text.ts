import { bad, type Parse, type Refusal } from './variable.ts';

/**
 * Texts that stand where a secret should and that no person means as one: references that whatever starts the service did
 * not resolve, a header or an assignment that was pasted whole, placeholders, and characters that nobody sees or types.
 */

/** Each is looked for in the text without the quotes around it. */
const references: readonly RegExp[] = [
  // Shells, compose, Azure Pipelines, Windows, Helm and the like. Inside of a text only with a name between the signs.
  /^\$\{.*\}$/s,
  /\$\{\{?\s*[A-Za-z_][\w.:/-]*\s*\}?\}/,
  /^\$\(.*\)$/s,
  /\$\([A-Za-z_][\w.-]+\)/,
  /^\$[A-Z_][A-Z0-9_]*$/,
  /^%[A-Za-z_]\w*%$/,
  /^#\{.*\}#?$/s,
  /^__[A-Z][A-Z0-9_]*__$/,
  /\{\{.*\}\}/s,
  /^<[^>]*>$/,
  // App Service, Container Apps, AWS, Google Cloud, Kubernetes operators.
  /^@Microsoft\.\w+\(/i,
  /^(vault|secretref|keyvault|akv|ssm|env|awssm|gcpsm):/i,
  /^arn:aws[\w-]*:/i,
  /^projects\/[^/]+\/secrets\//i,
  // op://, file:///, ref+vault://, https://<name>.vault.azure.net/secrets/…
  /^[a-z][a-z0-9+.-]*:\/\//i,
];

/** Paths at which secrets are mounted, and those of a drive: NAME was set where NAME_FILE was meant. */
const filePath = /^(~|\.{0,2})\/(run|var|etc|mnt|home|opt|secrets?|data|tmp|root|usr)\/|^[A-Za-z]:\\/;
const header = /^(bearer|basic)\s|^(authorization|x-webhook-secret)\s*:/i;
/** The end of Base64 (`…=`) is no assignment, and an equals sign behind letters in any case is not either. */
const assignment = /^(export\s+)?([A-Z][A-Z0-9_]{2,}|\w*(?i:secret|token|password)\w*)=(?!=*$)/;
/** Format characters, among them zero-width ones and the byte order mark, and every space but U+0020. */
const invisible = /(?![\p{Cc} ])[\p{C}\p{Z}]/u;
/** `docker run --env-file` and systemd's credentials keep quotes that a shell would take away. */
export const inQuotes = /^(["'`])(.+)\1$/s;

/** Words that make a placeholder of a text in which there are only these and the filler words. The longest come first. */
const placeholderWord =
  /changethis|changeme|changeit|change|replacethis|replaceme|replace|placeholder|fillin|insert|enter|example|dummy|todo|fixme|tbd|your|here/g;
const fillerWord =
  /password|production|metrics|webhook|shared|secret|string|strong|secure|random|before|please|client|actual|apono|azure|admin|value|token|this|real|with|goes|long|the|own|key|api|put|set|use|now|and|bit|my|by|in|it|me|of|to|an|a|\d/g;
const filler = /^(?:x{8,}|[*._#?-]{8,}|0{8,})$/i;
const onlyWeakWords = /^(password|passw0rd|passwort|secret|geheim)+\d*$/;
const keyboardRows = ['1234567890', 'qwertyuiopasdfghjklzxcvbnm', 'abcdefghijklmnopqrstuvwxyz'];

const minSecretCharacters = 16;

/**
 * A secret that somebody sends us in a header. Control characters are not allowed there, and spaces at the ends are cut
 * on the way (RFC 9110, 5.5), so that such a secret could never match. A character outside ASCII arrives as other bytes
 * from one client than from another, and most of those that are found in a secret were pasted by mistake.
 */
export const headerSecret: Parse<string> = (text) => {
  const problem = secretProblem(text);
  if (problem !== null) return problem;
  if (text.length >= minSecretCharacters) return text;
  return bad(
    `is ${text.length} characters long, expected at least ${minSecretCharacters}; make one with \`openssl rand -hex 32\``,
  );
};

/** Why nobody can have meant this text as a secret, or why it could not be sent; null if neither. */
export function secretProblem(text: string): Refusal | null {
  const bare = inQuotes.exec(text)?.[2] ?? text;
  if (references.some((pattern) => pattern.test(bare))) {
    return bad(
      'is a reference that was not resolved and not the secret itself; set the secret, or the variable with _FILE at its ' +
        'end to the path of a file that holds it',
    );
  }
  if (filePath.test(bare)) {
    return bad('is the path of a file and not the secret; set the variable with _FILE at its end to that path');
  }
  if (header.test(bare)) {
    return bad('is a whole header and not the secret alone; leave out its name and the word Bearer');
  }
  if (assignment.test(bare))
    return bad('is an assignment (NAME=value) and not the secret alone; leave out the name and the =');
  if (isPlaceholder(bare)) {
    return bad('is a placeholder that anybody could guess; make a secret with `openssl rand -hex 32`');
  }
  const found = invisible.exec(text)?.[0].codePointAt(0);
  if (found !== undefined) {
    const codePoint = found.toString(16).toUpperCase().padStart(4, '0');
    return bad(`holds a character that cannot be seen (U+${codePoint}); enter the secret anew`);
  }
  if (/^(?! )[ -~]*(?<! )$/.test(text)) return null;
  return bad(
    'holds a character outside ASCII, a control character or a space at its end, which no client secret has and which ' +
      'cannot be sent in a header; copy it again, or use letters, digits and signs',
  );
}

/** Whether the text is a variable or an expression of some template that was never filled in. */
export function holdsReference(text: string): boolean {
  return /\$\{[^}]*\}|\$\([^)]*\)|^%\w+%|^<[^<>]*>$|\{\{.*\}\}/s.test(text);
}

function isPlaceholder(text: string): boolean {
  const letters = text.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (filler.test(text)) return true;
  const others = letters.replaceAll(placeholderWord, '');
  if (others !== letters && others.replaceAll(fillerWord, '') === '') return true;
  if (onlyWeakWords.test(letters)) return true;
  return (
    letters.length >= 8 &&
    keyboardRows.some((row) => row.repeat(Math.ceil(letters.length / row.length)).startsWith(letters))
  );
}
