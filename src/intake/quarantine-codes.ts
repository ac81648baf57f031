/** What an answer with an error code says of it. */
export interface ProblemCodeInfo {
  readonly status: number;
  readonly title: string;
  readonly remedy: string;
}

function kept(title: string, remedy: string, status = 422): ProblemCodeInfo {
  return { status, title, remedy };
}

/** The codes of bodies that are put into quarantine: `"quarantined": true` in the answer. docs/errors.md explains each. */
export const quarantineCodes = {
  body_not_json: kept(
    'The body is not JSON',
    'Compare the whole body template in Apono with its file. If they are the same, the operator reads the body with `outbox show <id> --body`.',
    400,
  ),
  too_many_values: kept('The body holds too many values', 'Send fewer events in one body.'),
  duplicate_keys: kept(
    'The body has the same name twice in one object',
    'Compare the whole body template in Apono with its file: it has {{…}} and not {{{…}}}. If they are the same, the operator reads the body with `outbox show <id> --body`.',
  ),
  placeholders_left: kept(
    'The placeholders of the body template were not filled in',
    'Copy the whole template into the field Body Template of the webhook in Apono, which fills it in.',
  ),
  wrapped_event: kept(
    'The event stands inside of something else',
    'Replace the body template in Apono with that of this service; a relay must pass on what it receives.',
  ),
  blank_template: kept(
    'The fields of the body template are blank',
    'Compare URL and body template in Apono with docs/apono.md.',
  ),
  nested_too_deep: kept('The body is nested too deeply', 'Look at what sends it: Apono does not send such bodies.'),
  no_event: kept('The body holds no event', 'Copy the body template into Apono again, whole.'),
  unknown_kind: kept(
    'The body is of no kind of event that is known here',
    'Compare URL and body template in Apono with docs/apono.md. If both are right, ask the operator: this service may need an update.',
  ),
  ambiguous_kind: kept(
    'The body could be of more than one kind of event',
    'Give the webhook in Apono the URL that names the kind, /apono/webhook/<kind>.',
  ),
  kind_mismatch: kept(
    'The body is not of the kind that the URL names',
    'Compare URL and body template in Apono with docs/apono.md.',
  ),
  schema_mismatch: kept(
    'The body does not fit the schema of its kind',
    'Copy the body template into Apono again, whole. If it is the same, ask the operator: this service may need an update.',
  ),
  stream_off: kept(
    'Events of this kind are turned off',
    'The operator sets it to a stream of the data collection rule, or the webhook in Apono is made Inactive.',
  ),
  too_many_bytes: kept(
    'The event makes too many bytes of rows',
    'Split the access request in Apono, or shorten what is repeated in each of its rows.',
  ),
  mapping_failed: kept(
    'The event could not be made into rows',
    'Report it with the request_id, and replay the event after an update.',
  ),
} as const satisfies Readonly<Record<string, ProblemCodeInfo>>;

export type QuarantineCode = keyof typeof quarantineCodes;
