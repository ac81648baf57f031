/** What an error code of an answer means. docs/errors.md is written from this table. */
export interface ProblemCodeInfo {
  readonly status: number;
  readonly title: string;
  readonly meaning: string;
  readonly remedy: string;
}

/** Of a body that is kept, which the meaning says too. */
function kept(title: string, meaning: string, remedy: string, status = 422): ProblemCodeInfo {
  const toBeReplayed = 'The body is kept in quarantine and can be replayed once the cause is gone.';
  return { status, title, meaning: `${meaning} ${toBeReplayed}`, remedy };
}

/** The codes of bodies that are put into quarantine: `"quarantined": true` in the answer. */
export const quarantineCodes = {
  body_not_json: kept(
    'The body is not JSON',
    'The body is not JSON, even after the repair of what templates break. `detail` says the line, the column and the fault.',
    'Compare the whole body template in Apono with its file. If they are the same, the operator reads the body with `outbox show <id> --body`.',
    400,
  ),
  too_many_values: kept(
    'The body holds too many values',
    'The body holds more than 300,000 JSON values, and was not parsed.',
    'Send fewer events in one body.',
  ),
  duplicate_keys: kept(
    'The body has the same name twice in one object',
    'A body that a template made has the same name twice in one object: the template has it twice, or the template engine does not escape text and somebody typed what changed the body.',
    'Compare the whole body template in Apono with its file: it has {{…}} and not {{{…}}}. If they are the same, the operator reads the body with `outbox show <id> --body`.',
  ),
  placeholders_left: kept(
    'The placeholders of the body template were not filled in',
    'The event holds {{…}} where Apono would have put a value.',
    'Copy the whole template into the field Body Template of the webhook in Apono, which fills it in.',
  ),
  wrapped_event: kept(
    'The event stands inside of something else',
    'The body has no event_type, and one of its members holds an event; `errors` says which.',
    'Replace the body template in Apono with that of this service; a relay must pass on what it receives.',
  ),
  blank_template: kept(
    'The fields of the body template are blank',
    'The body looks like the template of one kind, with all its fields blank: the template stands in the webhook of another kind, or the fields have other names.',
    'Compare URL and body template in Apono with docs/apono.md.',
  ),
  nested_too_deep: kept(
    'The body is nested too deeply',
    'The JSON is nested deeper than 64 levels.',
    'Look at what sends it: Apono does not send such bodies.',
  ),
  no_event: {
    status: 422,
    title: 'The body holds no event',
    meaning: 'The body is an empty list.',
    remedy: 'Copy the body template into Apono again, whole.',
  },
  unknown_kind: kept(
    'The body is of no kind of event that is known here',
    'No kind of webhook has the members of this body; `errors` says what speaks against each.',
    'Compare URL and body template in Apono with docs/apono.md. If both are right, ask the operator: this service may need an update.',
  ),
  ambiguous_kind: kept(
    'The body could be of more than one kind of event',
    'The body has the members of several kinds of webhooks; `errors` says of which.',
    'Give the webhook in Apono the URL that names the kind, /apono/webhook/<kind>.',
  ),
  kind_mismatch: kept(
    'The body is not of the kind that the URL names',
    'The body is not of the kind that the URL ends in; `errors` says what speaks against it.',
    'Compare URL and body template in Apono with docs/apono.md.',
  ),
  schema_mismatch: kept(
    'The body does not fit the schema of its kind',
    'One of `event_type`, `event_time` and `data` is missing or of the wrong type; `errors` says which.',
    'Copy the body template into Apono again, whole. If it is the same, ask the operator: this service may need an update.',
  ),
  stream_off: kept(
    'Events of this kind are turned off',
    'The variable that names the stream of this kind is `off`.',
    'The operator sets it to a stream of the data collection rule, or the webhook in Apono is made Inactive.',
  ),
  too_many_bytes: kept(
    'The event makes too many bytes of rows',
    'The rows of the event are together larger than 256 MiB.',
    'Split the access request in Apono, or shorten what is repeated in each of its rows.',
  ),
  mapping_failed: kept(
    'The event could not be made into rows',
    'A defect of this service: the event is valid, and its rows could not be made.',
    'Report it with the request_id, and replay the event after an update.',
  ),
} as const satisfies Readonly<Record<string, ProblemCodeInfo>>;

export type QuarantineCode = keyof typeof quarantineCodes;
