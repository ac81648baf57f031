/** What an error code of an answer means. docs/errors.md is written from this table. */
export interface ProblemCodeInfo {
  readonly status: number;
  readonly title: string;
  readonly meaning: string;
  readonly remedy: string;
}

const toBeReplayed = 'The body is kept in quarantine and can be replayed once the cause is gone.';

/** The codes of bodies that are put into quarantine: `"quarantined": true` in the answer. */
export const quarantineCodes = {
  body_not_json: {
    status: 400,
    title: 'The body is not JSON',
    meaning: `The body is not JSON, even after the repair of what templates break. \`detail\` says the line, the column and which fault. ${toBeReplayed}`,
    remedy: 'Compare the body template in Apono with the output of `template`.',
  },
  too_many_values: {
    status: 422,
    title: 'The body holds too many values',
    meaning: `The body holds more than 300,000 JSON values, and was not parsed. ${toBeReplayed}`,
    remedy: 'Send fewer events in one body.',
  },
  duplicate_keys: {
    status: 422,
    title: 'The body has the same name twice in one object',
    meaning: `A body that a template made has the same name twice in one object, so that one value would hide the other: the template has it twice, or the template engine does not escape text and somebody typed what changed the body. ${toBeReplayed}`,
    remedy:
      'Look at the body with `outbox show <id> --body`. Compare the body template in Apono with the output of `template`, and make sure that it uses {{…}} and not {{{…}}}.',
  },
  placeholders_left: {
    status: 422,
    title: 'The placeholders of the body template were not filled in',
    meaning: `The event holds {{…}} where Apono would have put a value. ${toBeReplayed}`,
    remedy: 'Enter the template as the body template of a webhook in Apono, and send the event from there.',
  },
  wrapped_event: {
    status: 422,
    title: 'The event stands inside of something else',
    meaning: `The body has no event_type, and one of its members holds an event; \`errors\` says which. ${toBeReplayed}`,
    remedy: 'Send the event alone: enter the output of `template` in Apono, or let the relay pass on what it receives.',
  },
  blank_template: {
    status: 422,
    title: 'The fields of the body template are blank',
    meaning: `The body looks like the template of one kind of webhook, and the fields of that kind are all blank: the template stands in the webhook of another kind. ${toBeReplayed}`,
    remedy: 'Enter in each webhook of Apono the template of its own kind, as `template --kind` prints it.',
  },
  nested_too_deep: {
    status: 422,
    title: 'The body is nested too deeply',
    meaning: `The JSON is nested deeper than any event is. ${toBeReplayed}`,
    remedy: 'Look at what sends it: Apono does not send such bodies.',
  },
  no_event: {
    status: 422,
    title: 'The body holds no event',
    meaning: 'The body is an empty list.',
    remedy: 'Correct the body template in Apono.',
  },
  unknown_kind: {
    status: 422,
    title: 'The body is of no kind of event that is known here',
    meaning: `No kind of webhook has the members that this body has; \`errors\` says what speaks against each. ${toBeReplayed}`,
    remedy: 'Compare the body template in Apono with the output of `template`, or update this service.',
  },
  ambiguous_kind: {
    status: 422,
    title: 'The body could be of more than one kind of event',
    meaning: `The body has the members of several kinds of webhooks; \`errors\` says of which. It is not guessed. ${toBeReplayed}`,
    remedy: 'Give the webhook in Apono the URL that names the kind, /apono/webhook/<kind>.',
  },
  kind_mismatch: {
    status: 422,
    title: 'The body is not of the kind that the URL names',
    meaning: `The URL ends in a kind, and the body is none of that kind; \`errors\` says what speaks against it. ${toBeReplayed}`,
    remedy: 'Correct the URL of the webhook in Apono, or its body template.',
  },
  schema_mismatch: {
    status: 422,
    title: 'The body does not fit the schema of its kind',
    meaning: `A member is missing or of the wrong type; \`errors\` says which. ${toBeReplayed}`,
    remedy: 'Correct the body template in Apono, or update this service.',
  },
  stream_off: {
    status: 422,
    title: 'Events of this kind are turned off',
    meaning: `The variable that names the stream of this kind is \`off\`. ${toBeReplayed}`,
    remedy: 'Set the variable to a stream of the data collection rule, or remove the webhook in Apono.',
  },
  too_many_bytes: {
    status: 422,
    title: 'The event makes too many bytes of rows',
    meaning: `The rows of the event together are larger than those of one event may be. ${toBeReplayed}`,
    remedy: 'Split the access request in Apono, or shorten what is repeated in each of its rows.',
  },
  mapping_failed: {
    status: 422,
    title: 'The event could not be made into rows',
    meaning: `A defect of this service: the event is valid, and its rows could not be made. ${toBeReplayed}`,
    remedy: 'Report it with the request_id, and replay the event after an update.',
  },
} as const satisfies Readonly<Record<string, ProblemCodeInfo>>;

export type QuarantineCode = keyof typeof quarantineCodes;
