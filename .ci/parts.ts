/** What the tarball of a release has, and an operator installs; tests, benchmarks and the checks stay in the repository. */
export const parts = [
  'package.json',
  'package-lock.json',
  'src',
  'schemas',
  'deploy',
  'docs',
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'LICENSE',
  '.env.example',
  'Dockerfile',
  '.dockerignore',
  'docker-compose.yml',
];
