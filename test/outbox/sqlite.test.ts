import { outboxContract } from './contract.ts';
import { openSqliteFixture } from './sqlite-fixture.ts';

outboxContract('SQLite', openSqliteFixture);
