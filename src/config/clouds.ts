/**
 * Source: the SDK's KnownMonitorAudience and AzureAuthorityHosts, and the endpoints of `az cloud show --name …`
 * (for the database ossrdbmsResourceId and suffixes.postgresqlServerEndpoint).
 */
export const clouds = {
  public: {
    /** The scope of a token is this with `/.default`. */
    ingestionAudience: 'https://monitor.azure.com',
    authorityHost: 'https://login.microsoftonline.com',
    resourceManager: 'https://management.azure.com',
    /** What the host of LOGS_INGESTION_ENDPOINT must end with, dot included. */
    ingestionHostSuffix: '.ingest.monitor.azure.com',
    /** What a token that stands in for the password of Azure Database for PostgreSQL is for. */
    databaseAudience: 'https://ossrdbms-aad.database.windows.net',
    databaseHostSuffix: '.postgres.database.azure.com',
  },
  usgov: {
    ingestionAudience: 'https://monitor.azure.us',
    authorityHost: 'https://login.microsoftonline.us',
    resourceManager: 'https://management.usgovcloudapi.net',
    ingestionHostSuffix: '.ingest.monitor.azure.us',
    databaseAudience: 'https://ossrdbms-aad.database.usgovcloudapi.net',
    databaseHostSuffix: '.postgres.database.usgovcloudapi.net',
  },
  china: {
    ingestionAudience: 'https://monitor.azure.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
    resourceManager: 'https://management.chinacloudapi.cn',
    ingestionHostSuffix: '.ingest.monitor.azure.cn',
    databaseAudience: 'https://ossrdbms-aad.database.chinacloudapi.cn',
    databaseHostSuffix: '.postgres.database.chinacloudapi.cn',
  },
} as const;

export type CloudSettings = (typeof clouds)[keyof typeof clouds];

export const ingestionScope = (cloud: CloudSettings) => `${cloud.ingestionAudience}/.default`;
/** The cloud's, also when AZURE_RESOURCE_MANAGER_ENDPOINT names another host. */
export const resourceManagerScope = (cloud: CloudSettings) => `${cloud.resourceManager}/.default`;
export const databaseScope = (cloud: CloudSettings) => `${cloud.databaseAudience}/.default`;
