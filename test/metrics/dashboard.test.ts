import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import dashboard from '../../deploy/grafana/dashboard.json' with { type: 'json' };
import { METRIC_PREFIX } from '../../src/metrics/instruments.ts';
import { metricTable } from '../../src/metrics/table.ts';
import { assertKnownMetrics } from './expressions.ts';
import { withoutPromtool } from './promtool.ts';

const { panels } = dashboard;
const graphs = panels.filter(({ type }) => type !== 'row');
const expressions = graphs.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

describe('deploy/grafana/dashboard.json', () => {
  it('has its rows, in the order in which an operator asks', () => {
    const rows = panels.filter(({ type }) => type === 'row').map(({ title }) => title);
    assert.deepEqual(rows, ['Is it well', 'Traffic', 'Delivery', 'Token', 'Process']);
  });

  it('has panels with an id, a title, a unit and queries, side by side without overlap', () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Set<string>();
    for (const { title, type, gridPos, targets, fieldConfig } of graphs) {
      assert.ok(['stat', 'timeseries', 'table'].includes(type));
      assert.notEqual(fieldConfig?.defaults.unit ?? '', '', title);
      assert.ok((targets ?? []).length > 0, title);
      assert.equal(new Set(targets?.map(({ refId }) => refId)).size, targets?.length);
      assert.ok(gridPos.x + gridPos.w <= 24, title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x} ${y}`), `${title} lies on another panel`);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });

  it('asks for metrics that there are, of the chosen data source and instance', () => {
    for (const { targets = [] } of graphs) {
      for (const { expr, datasource } of targets) {
        assertKnownMetrics(expr);
        assert.equal(datasource.uid, '$' + '{datasource}');
        assert.equal(expr.split('apono_sentinel_').length, expr.split('instance=~"$instance"').length, expr);
      }
    }
    assert.deepEqual(
      dashboard.templating.list.map(({ name }) => name),
      ['datasource', 'instance'],
    );
  });

  it('shows every metric of the table but those named here', () => {
    // A moment that the holds' table need not repeat.
    const elsewhere = ['apono_sentinel_hold_since_timestamp_seconds'];
    const missing = Object.keys(metricTable)
      .map((name) => METRIC_PREFIX + name)
      .filter((name) => !expressions.some((expr) => new RegExp(`\\b${name}(?:_bucket|_sum)?\\b`).test(expr)));
    assert.deepEqual(missing, elsewhere);
  });

  it('has queries that Prometheus takes', { skip: withoutPromtool() }, (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'apono-sentinel-dashboard-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const rules = expressions.map((expr, index) => ({ record: `q:${index}`, expr: withValues(expr) }));
    const file = path.join(folder, 'rules.yml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    const output = execFileSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
    assert.match(output, new RegExp(`SUCCESS: ${expressions.length} rules found`));
  });
});

/** What Grafana does with its variables. */
function withValues(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*');
}
