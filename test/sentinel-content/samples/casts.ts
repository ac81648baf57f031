/** What turns a value of a property bag into a column of a type. */
export const KUSTO_TYPE_CASTS: Readonly<Record<string, string>> = {
  string: 'tostring',
  int: 'toint',
  long: 'tolong',
  bool: 'tobool',
  datetime: 'todatetime',
  dynamic: 'todynamic',
};
