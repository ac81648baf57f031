/** What to enter in Apono for one of its webhooks, in the words of its forms. */
export interface BodyTemplate {
  readonly webhook: string;
  /** Of the URL. The path that names a kind is for feeds whose event types Apono does not document. */
  readonly path: `/apono/webhook${string}`;
  /** Empty where Apono asks for none. */
  readonly triggers: readonly string[];
  /** Works with whatever Apono's template engine allows. */
  readonly plain: RenderedTemplate;
  /** With block helpers, which carry more, if Apono allows them; null where they would not. */
  readonly each: RenderedTemplate | null;
}

export interface RenderedTemplate {
  text(): string;
  /** What it carries and what not, a sentence or two each. */
  readonly notes: readonly string[];
}

/** Of every template with `{{#each}}`. */
export const EACH_NOTE =
  'No page of Apono says that {{#each}} may be used. Try it with the Test button: if the body in "View Invocation Data" ' +
  'still shows {{#each}}, or Apono refuses it, use the default template.';
