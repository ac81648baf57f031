import type { CloudSettings } from './config.ts';

/**
 * What differs between Azure's clouds.
 * Source: the SDK's KnownMonitorAudience and AzureAuthorityHosts, and the endpoints of `az cloud show --name …`.
 */
export const clouds: Readonly<Record<CloudSettings['name'], CloudSettings>> = Object.freeze({
  public: Object.freeze({
    name: 'public',
    ingestionAudience: 'https://monitor.azure.com',
    authorityHost: 'https://login.microsoftonline.com',
    resourceManager: 'https://management.azure.com',
    ingestionHostSuffix: '.ingest.monitor.azure.com',
  }),
  usgov: Object.freeze({
    name: 'usgov',
    ingestionAudience: 'https://monitor.azure.us',
    authorityHost: 'https://login.microsoftonline.us',
    resourceManager: 'https://management.usgovcloudapi.net',
    ingestionHostSuffix: '.ingest.monitor.azure.us',
  }),
  china: Object.freeze({
    name: 'china',
    ingestionAudience: 'https://monitor.azure.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
    resourceManager: 'https://management.chinacloudapi.cn',
    ingestionHostSuffix: '.ingest.monitor.azure.cn',
  }),
});

/** Scope of a token for the Logs Ingestion API. */
export function ingestionScope(cloud: CloudSettings): string {
  return `${cloud.ingestionAudience}/.default`;
}

/** Scope of a token for Azure Resource Manager. The cloud's, also when AZURE_RESOURCE_MANAGER_ENDPOINT names another host. */
export function resourceManagerScope(cloud: CloudSettings): string {
  return `${cloud.resourceManager}/.default`;
}

/**
 * Scope of a token that stands in for the password of Azure Database for PostgreSQL.
 * Source: `az cloud show --query endpoints.ossrdbmsResourceId`.
 */
const databaseResources: Readonly<Record<CloudSettings['name'], string>> = {
  public: 'https://ossrdbms-aad.database.windows.net',
  usgov: 'https://ossrdbms-aad.database.usgovcloudapi.net',
  china: 'https://ossrdbms-aad.database.chinacloudapi.cn',
};

export function databaseScope({ name }: CloudSettings): string {
  return `${databaseResources[name]}/.default`;
}
