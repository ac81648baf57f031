import type { Incidents } from '../../azure/incidents.ts';
import { hasClassification, hasLabel } from '../../sentinel/incidents/filter.ts';
import type { Incident } from '../../sentinel/incidents/incident.ts';
import { aponoRuleNames, isMadeBy } from '../../sentinel/incidents/rules.ts';
import type { CommandContext } from '../context.ts';
import type { SelectionOptions } from './selection.ts';

type Wanted = (incident: Incident) => boolean;
type WantedOptions = Pick<SelectionOptions, 'apono' | 'classification' | 'label'>;

/** Whether incidents are passed over here that Azure has given. */
export function isNarrowedHere({ apono, classification, label }: WantedOptions): boolean {
  return apono === true || classification !== undefined || label !== undefined;
}

/**
 * What `--apono`, `--label` and `--classification` let through. They are not asked of Azure, whose filter cannot express
 * the first and answers wrongly for the others. Null: no rule of the workspace is ours; stderr says so.
 */
export async function wantedBy(
  { stderr }: CommandContext,
  incidents: Incidents,
  { apono, classification, label }: WantedOptions,
): Promise<Wanted | null> {
  const named: Wanted = (incident) =>
    (label === undefined || hasLabel(incident, label)) &&
    (classification === undefined || hasClassification(incident, classification));
  if (apono !== true) return named;
  const rules = await incidents.alertRules();
  const names = aponoRuleNames(rules);
  if (names.size > 0) return (incident) => isMadeBy(incident, names) && named(incident);
  stderr.write(
    `no_apono_rules: None of the ${rules.length} analytics rules of this workspace reads Apono's tables or functions.\n` +
      'Fix: Deploy the rules, or leave --apono out and select by --title or --label.\n',
  );
  return null;
}
