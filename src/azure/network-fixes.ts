export interface Explanation {
  /** What happened, in one sentence. Holds no secret and nothing of a foreign text but codes, so it may be logged. */
  readonly reason: string;
  /** What a person has to do; empty when nothing has to be done. */
  readonly fix: string;
  /** What Azure said in its own words: for the admin port and the terminal alone. */
  readonly message: string | null;
}

/** What a proxy answered to CONNECT, where a text of `describeNetworkError` comes of a TunnelRefusedError; else null. */
export function tunnelStatusIn(message: string): number | null {
  const status = /answered (\d{3}) to CONNECT$/.exec(message)?.[1];
  return status === undefined ? null : Number(status);
}

/** `status`: what the proxy answered to CONNECT. */
export function tunnelFix(status: number): string {
  if (status === 407) {
    return 'The proxy wants a sign-in: put user and password into HTTPS_PROXY (http://user:password@host:port), or name the host in NO_PROXY.';
  }
  return (
    'HTTPS_PROXY names this proxy. It must open connections (CONNECT) to the host and port 443; or name the host in NO_PROXY ' +
    'if it can be reached without the proxy.'
  );
}

/** `message` as `describeNetworkError` writes it; `variable` is the one that names the host. */
export function explainNetwork(message: string, host: string, variable: string): string {
  const status = tunnelStatusIn(message);
  if (status !== null) return tunnelFix(status);
  if (/SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_UNTRUSTED|unable to (verify|get)|self[- ]signed/i.test(message)) {
    return (
      `The certificate of ${host} is not trusted here. If a proxy inspects TLS, or this is an emulator, put its CA certificate (PEM) ` +
      'into a file and start with NODE_EXTRA_CA_CERTS=<file>. Never turn the check off: the token would go to whoever answers.'
    );
  }
  if (/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/.test(message)) {
    return `The certificate of ${host} is out of date. Check the clock of this machine first, then what answers in place of Azure.`;
  }
  if (/ALTNAME_INVALID/.test(message)) {
    return `The certificate is for another name: ${variable} is wrong, or something answers in place of ${host}.`;
  }
  if (/ENOTFOUND|EAI_AGAIN|EAI_FAIL|ENODATA/.test(message)) {
    return (
      `The name ${host} does not resolve. Check the spelling of ${variable} and the DNS of this machine or container; with private link, ` +
      'its private zone must be linked to this network.'
    );
  }
  if (/EPROTO|ERR_SSL|wrong version number/i.test(message)) {
    return `${host} does not speak TLS as Azure does: look at HTTPS_PROXY, and at what answers on that port.`;
  }
  return (
    `Nothing lets a connection to ${host} through. Allow outgoing HTTPS (port 443) to it, or name your proxy in HTTPS_PROXY and what ` +
    'must not use it in NO_PROXY.'
  );
}
