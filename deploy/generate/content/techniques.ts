/** The techniques of ATT&CK without their sub-techniques, which the stable API does not take. */
export function techniquesOf(techniques: readonly string[]): readonly string[] {
  return [...new Set(techniques.map((technique) => technique.replace(/\..*$/, '')))];
}
