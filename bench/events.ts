/** Apono's documented event with one access unit, 1 KB: what most webhooks are. `run` tells runs apart. */
export function documentedEvents(run: string): (index: number) => string {
  const now = (Date.now() / 1000).toFixed(6);
  const type = '{"id":"postgresql-database","name":"Database","display_path":"Postgresql/Database"}';
  const before = `{"event_type":"AccessRequestCreated","event_time":${now}000,"data":{"id":"${run}-`;
  const after =
    '","friendly_id":"AR-8841","requester":{"id":"5f1c2b34","name":"Zoë Müller","email":"zoe@example.com"},' +
    '"grantee":{"id":"5f1c2b34","source_id":"zoe@example.com","name":"Zoë Müller","type":"user"},' +
    '"justification":"INC-4411: replica lag > 300 s on \\"orders\\"","creation_date":1696263265.852378000,' +
    '"revocation_date":1696266865.852380000,"access_flow":{"id":"flow-77","name":"DBA on-call"},"access_bundle":null,' +
    '"access_duration_in_seconds":3600,"access_groups":[{"integration":{"id":"int-pg","type":"postgresql",' +
    `"name":"orders-prod"},"resource_types":[${type}],"access_units":[{"resource":{"id":"res-1","name":"DB 1",` +
    `"path":"orders-prod/res-1","type":${type}},"permission":{"id":"READ_ONLY","name":"READ_ONLY"}}]}],` +
    '"approvals_logical_relation":"AnyOf","approvals":[{"name":"DBA leads","type":"group","status":"Approved",' +
    '"approver":{"id":"u-3","name":"Ana Pires","email":"ana@example.com"}}],"custom_fields":{"ticket":"INC-4411"}}}';
  return (index) => `${before}${index}${after}`;
}

/** Lists of so many events each, `total` in all: the quickest way to fill an outbox. */
export function lists(bodies: (index: number) => string, total: number, each: number): string[] {
  const made: string[] = [];
  for (let from = 0; from < total; from += each) {
    const count = Math.min(each, total - from);
    made.push(`[${Array.from({ length: count }, (_, index) => bodies(from + index)).join(',')}]`);
  }
  return made;
}

/** One request of 1,000 access units, padded to just under `bytes` by the names of its resources. */
export function largestEvent(bytes: number, id: string): string {
  const unit = (index: number, name: string): string =>
    `{"resource":{"id":"res-${index}","name":"${name}","path":"prod/${index}","type":{"id":"table","name":"Table"}},` +
    '"permission":{"id":"SELECT","name":"SELECT"}}';
  const units = (name: string): string => Array.from({ length: 1000 }, (_, index) => unit(index, name)).join(',');
  const event = (name: string): string =>
    '{"event_type":"AccessRequestGranted","event_time":1696263265.851898000,"data":{' +
    `"id":"large-${id}","requester":{"id":"u",` +
    '"name":"U","email":"u@example.com"},"access_groups":[{"integration":{"id":"i","type":"t","name":"n"},' +
    `"access_units":[${units(name)}]}]}}`;
  const room = bytes - Buffer.byteLength(event('')) - 1_000;
  return event('n'.repeat(Math.floor(room / 1000)));
}
