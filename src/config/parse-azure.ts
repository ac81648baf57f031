import { isLoopbackHost } from './parse.ts';
import { holdsReference, opaqueSecret } from './secret-text.ts';
import { bad, good, type Parse, type Parsed } from './variable.ts';

/** An https origin and nothing behind it. A slash at the end is fine and is cut. */
export const httpsOrigin: Parse<string> = (text) => {
  const url = /\s/.test(text) ? null : URL.parse(text);
  if (url === null || !/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return bad('is no URL, expected https://<host>');
  if (url.protocol !== 'https:') return bad('does not start with https://, and a token is never sent without TLS');
  if (url.username !== '' || url.password !== '') return bad('holds a user name or password, expected https://<host>');
  // Compared with the text since URL drops an empty query and an empty fragment.
  if (url.pathname !== '/' || /[?#]/.test(text)) {
    return bad(`has something behind the host, expected ${url.origin} alone`);
  }
  return good(url.origin);
};

/**
 * The host that the ingestion endpoint must have, or loopback for an emulator: whoever can change the endpoint would get
 * every event and a token, so it is not just any host.
 */
export function checkIngestionHost(origin: string, suffixes: readonly string[]): Parsed<string> {
  const { hostname, port } = new URL(origin);
  if (isLoopbackHost(hostname)) return good(origin);
  if (!suffixes.some((suffix) => hostname.endsWith(suffix) && hostname.length > suffix.length)) {
    const expected = suffixes.map((suffix) => `https://<name>${suffix}`).join(' or ');
    return bad(
      `is no ingestion endpoint of this cloud, expected ${expected}: endpoints.logsIngestion of the data collection rule, ` +
        'or logsIngestion.endpoint of the data collection endpoint (AZURE_CLOUD decides the suffix)',
    );
  }
  return port === '' ? good(origin) : bad(`names port ${port}, but Azure listens on 443 only`);
}

export const ruleId: Parse<string> = (text) => {
  if (/^dcr-[0-9a-f]{32}$/i.test(text)) return good(text);
  const hint = text.startsWith('/subscriptions/')
    ? ' (a resource id belongs in DATA_COLLECTION_RULE_RESOURCE_ID)'
    : '; it is the immutableId in the JSON view of the rule';
  return bad(`is no immutable id of a data collection rule, expected dcr- and 32 hexadecimal digits${hint}`);
};

/** An ARM resource id. `type` as in `Microsoft.Insights/dataCollectionRules`; case does not matter to ARM. */
export function armId(type: string): Parse<string> {
  const pattern = new RegExp(
    `^/subscriptions/[A-Za-z0-9-]+/resourceGroups/[^/\\s?#<>]+/providers/${type.replaceAll('.', '\\.')}/[^/\\s?#<>]+$`,
    'i',
  );
  return (text) =>
    pattern.test(text) && !holdsReference(text)
      ? good(text)
      : bad(`is no resource id, expected /subscriptions/<id>/resourceGroups/<name>/providers/${type}/<name>`);
}

/** Null: `off`. */
export const streamName: Parse<string | null> = (text) => {
  if (text.toLowerCase() === 'off') return good(null);
  if (/^Custom-[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text)) return good(text);
  return bad(
    'is no stream name, expected Custom-<name> as under streamDeclarations in the data collection rule, or `off`',
  );
};

/** The SDK's own rule (checkTenantId in @azure/identity), less the names that no application can sign in to. */
export const tenantId: Parse<string> = (text) => {
  if (!/^[0-9a-zA-Z-.]+$/.test(text)) return bad('is no tenant, expected its GUID or its domain name');
  return ['common', 'organizations', 'consumers'].includes(text.toLowerCase())
    ? bad(
        'is no tenant of its own, and an application cannot sign in there; expected the GUID or domain name of the tenant',
      )
    : good(text);
};

export const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Entra makes its secrets of letters, digits and a few signs, and shows the id of each beside it. */
export const clientSecret: Parse<string> = (text) => {
  if (guid.test(text)) {
    return bad("is a GUID, so it is the secret's ID; set the secret's Value, which is shown once when it is made");
  }
  const taken = opaqueSecret(text);
  if (!taken.ok) return taken;
  return /[^\x20-\x7e]|^ | $/.test(text)
    ? bad('holds a character outside ASCII or a space at its end, which no client secret does; copy it again')
    : taken;
};

export const clientId: Parse<string> = (text) =>
  /^[0-9a-zA-Z._-]+$/.test(text) ? good(text) : bad('is no client id, expected a GUID');
