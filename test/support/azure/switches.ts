import type { JsonObject } from '../../../src/ground/json.ts';
import type { DeclaredColumn } from './core.ts';
import { type IncidentDetail, type IncidentSource, listed, type PagingOddities } from './incidents.ts';
import { type FakeAzure, tableOf } from './state.ts';

/** What an administrator can change in Azure while clients run. */
export interface Switches {
  /** Entra: another secret is good from now on; the former one gets AADSTS7000215. */
  setClientSecret(secret: string): void;
  /** Entra: the right secret gets AADSTS7000222. */
  setClientSecretExpired(expired: boolean): void;
  /** All tokens issued so far get 401. */
  revokeTokens(): void;
  /** Monitoring Metrics Publisher on the rule; without it each upload gets 403. */
  setPublisherRole(granted: boolean): void;
  /** Reader on rule, workspace and Sentinel; without it Resource Manager answers 403. */
  setReaderRole(granted: boolean): void;
  /** Deletes the rule (404), and puts it back. */
  setRulePresent(present: boolean): void;
  /** Declares a stream anew, or with null takes it out of the rule (400 InvalidStream). Its table stays as it is. */
  setStream(stream: string, columns: readonly DeclaredColumn[] | null): void;
  /** Changes the columns of a table (`AponoAccessRequests_CL`), or with null deletes it. What it lacks is not stored. */
  setTable(table: string, columns: readonly DeclaredColumn[] | null): void;
  /** The transformation that Resource Manager shows for a stream. It is not run: the emulator runs no KQL. */
  setTransform(stream: string, transformKql: string): void;
  /** Takes Sentinel off the workspace (400, not onboarded), and puts it back. */
  setSentinelEnabled(enabled: boolean): void;
  /** All incidents, from now on; there are none at first. */
  setIncidents(incidents: IncidentSource | readonly JsonObject[]): void;
  /** What belongs to an incident, by its name. */
  setIncidentDetails(detailOf: (name: string) => IncidentDetail): void;
  setAlertRules(rules: readonly JsonObject[]): void;
  /** `{}` makes the pages of incidents regular again. */
  setPagingOddities(oddities: PagingOddities): void;
}

export function switches(state: FakeAzure): Switches {
  const { ruleId, sentinel } = state;
  return {
    setClientSecret: (secret) => {
      state.clientSecret = secret;
    },
    setClientSecretExpired: (expired) => {
      state.secretExpired = expired;
    },
    revokeTokens: () => state.tokens.clear(),
    setPublisherRole: (granted) => {
      state.publisherRole = granted;
    },
    setReaderRole: (granted) => {
      state.readerRole = granted;
    },
    setRulePresent: (present) => {
      state.rulePresent = present;
      state.ruleId = present ? ruleId : 'deleted';
    },
    ...schemaSwitches(state),
    setSentinelEnabled: (enabled) => {
      sentinel.isEnabled = enabled;
    },
    setIncidents: (incidents) => {
      sentinel.source = isSource(incidents) ? incidents : listed(incidents);
    },
    setIncidentDetails: (detailOf) => {
      sentinel.detailOf = detailOf;
    },
    setAlertRules: (rules) => {
      sentinel.rules = rules;
    },
    setPagingOddities: (oddities) => {
      sentinel.oddities = oddities;
    },
  };
}

function isSource(incidents: IncidentSource | readonly unknown[]): incidents is IncidentSource {
  return 'find' in incidents && 'count' in incidents;
}

function schemaSwitches({
  declared,
  tables,
  streams,
  rows,
  transforms,
}: FakeAzure): Pick<Switches, 'setStream' | 'setTable' | 'setTransform'> {
  /** Azure stores the columns of a stream that its table has too. */
  function update(): void {
    streams.clear();
    for (const [stream, columns] of declared) {
      const table = new Set(tables.get(tableOf(stream))?.map(({ name }) => name));
      streams.set(
        stream,
        columns.filter(({ name }) => table.has(name)),
      );
    }
  }
  return {
    setStream: (stream, columns) => {
      if (columns === null && !declared.delete(stream)) throw new RangeError(`the rule declares no stream ${stream}`);
      if (columns !== null) {
        declared.set(stream, columns);
        if (!rows.has(stream)) rows.set(stream, []);
        if (!tables.has(tableOf(stream))) tables.set(tableOf(stream), columns);
      }
      update();
    },
    setTable: (table, columns) => {
      if (columns !== null) tables.set(table, columns);
      else if (!tables.delete(table)) throw new RangeError(`the workspace has no table ${table}`);
      update();
    },
    setTransform: (stream, transformKql) => {
      if (!declared.has(stream)) throw new RangeError(`the rule declares no stream ${stream}`);
      transforms.set(stream, transformKql);
    },
  };
}
