import type { Incidents } from '../../azure/incidents.ts';
import type { Incident } from '../../sentinel/incidents/incident.ts';
import { aponoRuleNames, isMadeBy } from '../../sentinel/incidents/rules.ts';
import type { CommandContext } from '../context.ts';

type Wanted = (incident: Incident) => boolean;

/** What `--apono` lets through. Null: no rule of the workspace is ours, which stderr was told. */
export async function wantedBy(
  { stderr }: CommandContext,
  incidents: Incidents,
  { apono }: { readonly apono?: boolean },
): Promise<Wanted | null> {
  if (apono !== true) return () => true;
  const rules = await incidents.alertRules();
  const names = aponoRuleNames(rules);
  if (names.size > 0) return (incident) => isMadeBy(incident, names);
  stderr.write(
    `no_apono_rules: None of the ${rules.length} analytics rules of this workspace reads Apono's tables or functions.\n` +
      'Fix: Deploy the rules, or leave --apono out and select by --title or --label.\n',
  );
  return null;
}
