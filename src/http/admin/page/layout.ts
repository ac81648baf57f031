import type { Answer } from '../../answer.ts';

/** Text that is HTML already. Only `html` makes it, so that nothing gets into a page without being escaped. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | string | number | null | false | readonly Part[];

/** A template whose values are escaped, also within quoted attributes. Null and false are left out, lists are joined. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(String.raw({ raw: strings }, ...parts.map(textOf)));
}

function textOf(part: Part): string {
  if (part instanceof Html) return part.text;
  if (Array.isArray(part)) return part.map(textOf).join('');
  if (part === null || part === false) return '';
  return escapeText(String(part));
}

/**
 * Control characters and lone surrogates, which HTML cannot hold, become U+FFFD. So do the marks that turn the direction
 * of text, with which a text could look like another one.
 */
function escapeText(text: string): string {
  return text
    .replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
    .replaceAll(/(?![\n\t])[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069]/gu, '\u{fffd}');
}

/** Everything comes from this port, and nothing runs or is styled inline. What a page shows is somebody else's text. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/** `main` holds sections with ids: the script exchanges those that changed. */
export function pageAnswer(status: number, title: string, main: Html): Answer {
  const document = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/uplot.css">
<link rel="stylesheet" href="/assets/page.css">
<script src="/assets/uplot.js" defer></script>
<script src="/assets/page.js" defer></script>
</head>
<body>
<header><a href="/">Apono → Microsoft Sentinel</a> <span id="updated" role="status"></span></header>
<main>${main}</main>
<footer>In a checkout <code>npm run --silent cli --</code> stands for <code>apono-sentinel</code>, with compose
<code>docker compose exec sentinel apono-sentinel</code>; docs/operations.md says more.</footer>
</body>
</html>
`;
  return {
    status,
    contentType: 'text/html; charset=utf-8',
    headers: { 'Content-Security-Policy': contentSecurityPolicy },
    body: document.text,
  };
}

/** The token stays in the memory of the tab (sessionStorage): no cookie that another page could make a browser send. */
export function signInPage(status: number): Answer {
  const page = html`<section id="sign-in">
<h1>Sign in</h1>
<p>This page needs the ADMIN_TOKEN of the service. It is kept in this tab alone and forgotten when the tab is closed.</p>
<form>
<label for="token">Admin token</label>
<input id="token" type="password" autocomplete="off" spellcheck="false" required autofocus>
<button type="submit">Sign in</button>
<p id="sign-in-failed" role="alert"></p>
</form>
<noscript><p>Signing in needs JavaScript. Without it, run <code>apono-sentinel status</code>.</p></noscript>
</section>`;
  return pageAnswer(status, 'Sign in', page);
}

/** A time for people, in UTC, to the second; the script adds how long ago that is. */
export function time(iso: string | null, none = 'not since the start'): Html {
  if (iso === null) return html`<span class="none">${none}</span>`;
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')}Z</time>`;
}

/** Text in which what stands between backticks is code, and can be copied where it is a command without any <blank>. */
export function withCode(text: string): Html {
  const parts = text.split(/`([^`]+)`/);
  const codeOf = (text: string): Html =>
    html`<code${/^(apono-sentinel|az|df|fuser) [^<]*$/.test(text) && html` data-copy`}>${text}</code>`;
  return html`${parts.map((part, index) => (index % 2 === 1 ? codeOf(part) : part))}`;
}

/** A table; in a narrow window each row is a list, with the heads beside the cells. `none`: said if there are no rows. */
export function table(label: string, heads: readonly string[], rows: readonly (readonly Part[])[], none: string): Html {
  if (rows.length === 0) return html`<p class="none">${none}</p>`;
  return html`<div class="scroll" role="region" aria-label="${label}" tabindex="0"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows.map((cells) => html`<tr>${cells.map((cell, at) => html`<td data-head="${heads[at] ?? ''}">${cell}</td>`)}</tr>`)}</tbody>
</table></div>`;
}

export function facts(pairs: readonly (readonly [string, Part])[]): Html {
  return html`<dl>${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}
