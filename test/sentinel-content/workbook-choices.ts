import type { Choices } from './workbook-values.ts';

const week = {
  start: '2026-11-15T09:30:00.000Z',
  end: '2026-11-22T09:30:00.000Z',
  grain: '6h',
  label: 'Last 7 days',
};

/** As the workbook opens: everything, now. */
export const opened: Choices = {
  Workspace: '/subscriptions/s/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/w',
  TimeRange: week,
  Requester: '',
  Integration: ['*'],
  TestEvents: 'no',
  Tab: 'overview',
  Moment: '',
  SelectedPerson: '*',
  SelectedRequest: '*',
};

/** Text that would end a literal of KQL, or start a comment, a command or an expression of its own. */
const hostile = 'zoé"; ] | take 0 // \\" \' ` {TimeRange} \r\n\t\u2028*/ }} drop';

/** With hostile text in all that can be typed or selected. What is put into a query differs in nothing else. */
export const chosenHostile: Choices = {
  ...opened,
  TimeRange: { ...week, grain: '1d' },
  Requester: hostile,
  Integration: [base64('prod db'), base64(hostile)],
  TestEvents: 'yes',
  Moment: hostile,
  SelectedPerson: hostile,
  SelectedRequest: hostile,
};

/** As the drop down of integrations makes its values. */
export function base64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
