/** Token audiences of the public, US government and China clouds. */
const ingestion = ['https://monitor.azure.com', 'https://monitor.azure.us', 'https://monitor.azure.cn'];
const resourceManager = [
  'https://management.azure.com',
  'https://management.core.windows.net',
  'https://management.usgovcloudapi.net',
  'https://management.chinacloudapi.cn',
];

const database = [
  'https://ossrdbms-aad.database.windows.net',
  'https://ossrdbms-aad.database.usgovcloudapi.net',
  'https://ossrdbms-aad.database.chinacloudapi.cn',
];

export type Service = 'ingestion' | 'resource_manager' | 'database';

/** The service that a token of this audience is for; null: none that the emulator knows. */
export function serviceOf(audience: string): Service | null {
  // Some of Microsoft's samples ask for `https://monitor.azure.com//.default`, which leaves a slash at the end.
  const bare = audience.replace(/\/+$/, '').toLowerCase();
  if (ingestion.includes(bare)) return 'ingestion';
  if (database.includes(bare)) return 'database';
  return resourceManager.includes(bare) ? 'resource_manager' : null;
}
