import type { JsonFields } from '../json.ts';

/**
 * The first page of the form: the workspaces of the resource group, of which one is chosen. Its region is the
 * deployment's, so the form does not ask for one. As the solutions of Azure-Sentinel do it.
 * https://learn.microsoft.com/azure/azure-resource-manager/managed-applications/microsoft-solutions-armapicontrol
 */
const workspaces = "basics('getWorkspaces').value";

export const basics: readonly JsonFields[] = [
  {
    name: 'getWorkspaces',
    type: 'Microsoft.Solutions.ArmApiControl',
    condition: '[greater(length(resourceGroup().name), 0)]',
    request: {
      method: 'GET',
      path: "[concat(subscription().id, '/resourceGroups/', resourceGroup().name, '/providers/Microsoft.OperationalInsights/workspaces?api-version=2025-07-01')]",
    },
  },
  {
    name: 'workspace',
    type: 'Microsoft.Common.DropDown',
    label: 'Workspace',
    placeholder: 'Select a workspace',
    toolTip: 'The workspaces of the resource group. Microsoft Sentinel must be added to the one that you select.',
    constraints: {
      allowedValues: `[map(${workspaces}, (item) => parse(concat('{"label":"', item.name, '","value":"', item.name, '"}')))]`,
      required: true,
    },
    visible: true,
  },
];

export const basicsConfig: JsonFields = {
  isWizard: false,
  basics: {
    description:
      "Apono's events in Microsoft Sentinel. Select the resource group of the Log Analytics workspace. When it is done, *Outputs* has the variables of apono-sentinel.",
    subscription: {
      resourceProviders: ['Microsoft.OperationalInsights', 'Microsoft.Insights', 'Microsoft.SecurityInsights'],
    },
    location: { metadata: { hidden: 'The region is that of the workspace.' }, visible: false },
    resourceGroup: { allowExisting: true },
  },
};

/** Values of the template's parameters that this page gives. */
export const basicsOutputs: JsonFields = {
  workspaceName: "[basics('workspace')]",
  location: `[first(map(filter(${workspaces}, (item) => equals(item.name, basics('workspace'))), (item) => item.location))]`,
};
