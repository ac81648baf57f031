import type { Emulator } from './emulator.ts';
import { type IncidentSource, listed } from './incident-book.ts';
import { type AzureState, tableOf } from './state.ts';

type Switches = Pick<
  Emulator,
  | 'setClientSecret'
  | 'setClientSecretExpired'
  | 'setTokenLifetime'
  | 'revokeTokens'
  | 'setPublisherRole'
  | 'setReaderRole'
  | 'setRulePresent'
  | 'setStream'
  | 'setTable'
  | 'setTransform'
  | 'setSentinelEnabled'
  | 'setIncidents'
  | 'setIncidentDetails'
  | 'setAlertRules'
  | 'setPagingOddities'
>;

/** What an administrator can change in Azure while clients run. */
export function switches(state: AzureState): Switches {
  return {
    setClientSecret: (secret) => {
      state.clientSecret = secret;
    },
    setClientSecretExpired: (expired) => {
      state.secretExpired = expired;
    },
    setTokenLifetime: (seconds) => {
      state.tokenLifetimeSeconds = seconds;
    },
    revokeTokens: () => state.tokens.revokeAll(),
    setPublisherRole: (granted) => {
      state.publisherRole = granted;
    },
    setReaderRole: (granted) => {
      state.readerRole = granted;
    },
    setRulePresent: (present) => {
      state.rulePresent = present;
    },
    setStream: (stream, columns) => {
      if (columns === null) {
        if (!state.streams.delete(stream)) throw new RangeError(`the rule declares no stream ${stream}`);
        return;
      }
      state.streams.set(stream, columns);
      state.store.declare(stream);
      if (!state.tables.has(tableOf(stream))) state.tables.set(tableOf(stream), columns);
    },
    setTable: (table, columns) => {
      if (columns !== null) state.tables.set(table, columns);
      else if (!state.tables.delete(table)) throw new RangeError(`the workspace has no table ${table}`);
    },
    setTransform: (stream, transformKql) => {
      if (!state.streams.has(stream)) throw new RangeError(`the rule declares no stream ${stream}`);
      state.transforms.set(stream, transformKql);
    },
    setSentinelEnabled: (enabled) => {
      state.sentinel.isEnabled = enabled;
    },
    setIncidents: (incidents) => {
      state.sentinel.source = isSource(incidents) ? incidents : listed(incidents);
    },
    setIncidentDetails: (detailOf) => {
      state.sentinel.detailOf = detailOf;
    },
    setAlertRules: (rules) => {
      state.sentinel.rules = rules;
    },
    setPagingOddities: (oddities) => {
      state.sentinel.oddities = oddities;
    },
  };
}

function isSource(incidents: IncidentSource | readonly unknown[]): incidents is IncidentSource {
  return 'find' in incidents && 'count' in incidents;
}
