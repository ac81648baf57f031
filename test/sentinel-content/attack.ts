/**
 * Which techniques Azure-Sentinel's validator takes for a tactic, for the tactics that our content uses. It lags behind
 * ATT&CK: T1650 (Acquire Access), for one, is not in it.
 * https://github.com/Azure/Azure-Sentinel/blob/master/.script/tests/detectionTemplateSchemaValidation/Models/ModelValidationAttributes/KillChainTechniquesHelper.cs
 */
const TECHNIQUES: Readonly<Record<string, string>> = {
  InitialAccess: 'T1078 T1091 T1133 T1195 T1199 T1200 T1189 T1190 T1566',
  Persistence:
    'T1037 T1053 T1078 T1098 T1136 T1137 T1176 T1197 T1133 T1205 T1505 T1525 T1542 T1543 T1546 T1547 T1554 T1574 T1556',
  PrivilegeEscalation: 'T1037 T1053 T1055 T1068 T1078 T1134 T1484 T1543 T1546 T1547 T1548 T1574 T1611',
  DefenseEvasion:
    'T1006 T1014 T1027 T1036 T1055 T1070 T1078 T1112 T1127 T1134 T1140 T1197 T1202 T1205 T1207 T1211 T1216 T1218 T1220 T1221 T1222 T1480 T1484 T1497 T1535 T1542 T1548 T1550 T1553 T1556 T1562 T1564 T1574 T1578 T1599 T1600 T1601 T1612 T1610',
  CredentialAccess:
    'T1003 T1040 T1056 T1110 T1111 T1187 T1212 T1528 T1539 T1552 T1555 T1556 T1557 T1558 T1606 T1613 T1614',
  Impact: 'T1485 T1486 T1489 T1490 T1491 T1495 T1496 T1498 T1499 T1529 T1531 T1561 T1565',
  ResourceDevelopment: 'T1583 T1586 T1584 T1587 T1585 T1588 T1608',
};

/** What is wrong with the tactics and techniques of a rule or hunting query; empty when nothing is. */
export function attackProblems(tactics: readonly string[], techniques: readonly string[]): readonly string[] {
  const taken = new Map(
    tactics.map((tactic) => [tactic, TECHNIQUES[tactic]?.split(' ').filter((id) => techniques.includes(id))] as const),
  );
  return [
    ...[...taken].filter(([, found]) => found === undefined).map(([tactic]) => `${tactic}: no such tactic`),
    ...techniques
      .filter((id) => ![...taken.values()].some((found) => found?.includes(id)))
      .map((id) => `${id}: of none of the tactics`),
  ];
}
