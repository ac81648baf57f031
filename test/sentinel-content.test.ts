import { runTogether } from './together.ts';

await runTogether('sentinel-content');
