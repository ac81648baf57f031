/** How many rows `requestEvent` makes: one for each access unit. */
export const rowsPerEvent = 2;

/** A request event as Apono sends it, with text that must arrive as it was typed. Another `id` is another event. */
export function requestEvent(id: string): object {
  const type = { id: 'postgresql-database', name: 'Database', display_path: 'Postgresql/Database' };
  const unit = (name: string): object => ({
    resource: { id: `res-${name}`, name, path: `prod db/${name}`, type },
    permission: { id: 'READ_ONLY', name: 'READ_ONLY' },
  });
  const person = { id: 'u-1', name: 'Zoë Müller', email: 'zoe@example.com' };
  return {
    event_type: 'AccessRequestGranted',
    event_time: 1_764_000_000.25,
    data: {
      id: `image-test-${id}`,
      friendly_id: 'AR-1',
      requester: person,
      grantee: { ...person, source_id: 'zoe', type: 'user' },
      justification: 'a "quoted" reason\nin two lines',
      access_groups: [
        {
          integration: { id: 'i-1', type: 'Postgresql', name: 'prod db' },
          resource_types: [type],
          access_units: [unit('orders'), unit('invoices')],
        },
      ],
      approvals: [],
    },
  };
}
