import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { anomalyKind } from '../../src/kinds/anomaly.ts';
import { templateText } from '../../src/kinds/body-template.ts';
import { anomalyEvent, requestInside } from './anomaly-bodies.ts';
import { onlyRowOf, pick, RECEIVED_AT, render } from './support.ts';

const rowOf = (data: unknown) => onlyRowOf(anomalyKind, JSON.stringify(anomalyEvent(data)));
const IDS = ['anomaly_id', 'request_id', 'request_friendly_id'];

describe('the row of an anomaly', () => {
  it('takes data.id for the request’s where the event looks like a request, else for its own', () => {
    const ids = (data: object) => Object.values(pick(rowOf(data), IDS));
    assert.deepEqual(ids(requestInside), [null, '0e4b6f0e', 'AR-8841']);
    assert.deepEqual(ids({ id: 'an-1', request: requestInside }), ['an-1', '0e4b6f0e', 'AR-8841']);
    assert.deepEqual(ids({ id: 'an-1', request_id: 'r', ...{ requester: {} } }), ['an-1', 'r', null]);
    assert.deepEqual(ids({ ...requestInside, anomaly_id: 'an-1' }), ['an-1', '0e4b6f0e', 'AR-8841']);
    assert.deepEqual(ids({ id: 'an-1' }), ['an-1', null, null]);
    assert.deepEqual(ids({ id: 'an-1', requester: requestInside.requester, friendly_id: null }), ['an-1', null, null]);
  });

  it('does so too where a template renders the slots of both', () => {
    const ids = (data: object) =>
      Object.values(pick(onlyRowOf(anomalyKind, render(templateText('anomaly'), anomalyEvent(data))), IDS));
    assert.deepEqual(ids({ id: 'an-1', severity: 'High' }), ['an-1', null, null]);
    assert.deepEqual(ids({ id: 'an-1', requester: requestInside.requester }), ['an-1', null, null]);
    assert.deepEqual(ids(requestInside), [null, '0e4b6f0e', 'AR-8841']);
    assert.deepEqual(ids({ id: 'an-1', request: requestInside }), ['an-1', '0e4b6f0e', 'AR-8841']);
  });

  it('has requester and access flow from wherever the request is', () => {
    const names = ['requester_id', 'requester_name', 'requester_email', 'access_flow_id', 'access_flow_name'];
    const wanted = ['5f1c', "Zoë Müller-O'Neil", 'zoe@example.com', 'flow-77', 'DBA on-call (break glass)'];
    for (const data of [requestInside, { request: requestInside }, { access_request: requestInside }]) {
      assert.deepEqual(Object.values(pick(rowOf(data), names)), wanted);
    }
  });

  it('guesses nothing from values that are no text', () => {
    const row = rowOf({ severity: { level: 'High' }, type: ['x'], requester: 'zoe', access_flow: null, title: {} });
    const names = ['severity', 'anomaly_type', 'requester_email', 'access_flow_name', 'summary'];
    assert.deepEqual(
      Object.values(pick(row, names)),
      names.map(() => null),
    );
  });

  it('takes the time of receipt where its own is none, and says so by a null', () => {
    for (const time of ['soon', null, '', [], -1, 1e30]) {
      const row = onlyRowOf(anomalyKind, JSON.stringify({ ...anomalyEvent({}), event_time: time }));
      assert.equal(row['event_time'], null);
      assert.equal(Date.parse(String(row['TimeGenerated'])), RECEIVED_AT);
    }
  });

  it('is a test by either id', () => {
    assert.equal(rowOf({ id: 'apono-sentinel-test-1' })['is_test'], true);
    assert.equal(rowOf({ id: 'an-1', request_id: 'apono-sentinel-test-1' })['is_test'], true);
    assert.equal(rowOf({ id: 'an-1', title: 'apono-sentinel-test-1' })['is_test'], false);
  });

  it('property: has the whole event, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.dictionary(fc.string(), fc.jsonValue()), (data, more) => {
        const text = JSON.stringify({ ...more, event_type: 'Anomaly', event_time: 1, data });
        const row = onlyRowOf(anomalyKind, text, true);
        assert.deepEqual(row['raw_event'], wellFormed(JSON.parse(text)));
        assert.equal(row['truncated_fields'], null);
      }),
    );
  });
});

/** As it can be sent: half a surrogate pair cannot. */
function wellFormed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll(/\\ud[89a-f][0-9a-f]{2}/g, '\ufffd'));
}
