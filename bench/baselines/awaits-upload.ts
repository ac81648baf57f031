/**
 * A straightforward proxy: no outbox, one upload a webhook, answered when Azure has answered. The first access unit
 * only, as Apono's own recipe sends.
 */
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { ClientSecretCredential } from '@azure/identity';
import { LogsIngestionClient } from '@azure/monitor-ingestion';
import express from 'express';

const [endpoint = '', ruleId = '', stream = ''] = process.argv.slice(2);
const credential = new ClientSecretCredential('00000000-0000-0000-0000-000000000000', 'bench', 'bench', {
  authorityHost: endpoint,
  disableInstanceDiscovery: true,
});
const client = new LogsIngestionClient(endpoint, credential);

interface Body {
  readonly event_type: string;
  readonly event_time: number;
  readonly data: {
    readonly requester: { readonly id: string; readonly name: string; readonly email: string };
    readonly justification: string;
    readonly access_groups: readonly {
      readonly access_units: readonly { readonly resource: { readonly id: string; readonly name: string } }[];
    }[];
  };
}

const app = express();
app.use(express.json({ limit: '6mb' }));
app.post('/', async (request, response) => {
  const { event_type, event_time, data } = request.body as Body;
  const resource = data.access_groups[0]?.access_units[0]?.resource;
  await client.upload(ruleId, stream, [
    {
      TimeGenerated: new Date(event_time * 1000).toISOString(),
      event_type,
      requester_id: data.requester.id,
      requester_name: data.requester.name,
      requester_email: data.requester.email,
      justification: data.justification,
      resource_id: resource?.id,
      resource_name: resource?.name,
    },
  ]);
  response.status(200).json({ status: 'accepted' });
});
const server = app.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.on('disconnect', () => process.exit());
