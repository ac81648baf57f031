import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import {
  adminToken,
  healthOf,
  idOf,
  type Running,
  refuseSomeRows,
  resourceIds,
  settled,
  startRunning,
  units,
} from '../commands/outbox-fixture.ts';
import { startTestEmulator } from '../support/emulator.ts';
import { eventually } from '../support/eventually.ts';
import { startService } from '../support/service.ts';
import { serviceEnv, serviceFiles } from '../support/service-process.ts';
import { type Look, noBrowser, startBrowser, type Tab, type TestBrowser } from './browser.ts';

const needsBrowser = { skip: noBrowser };
const pageOf = ({ service }: Pick<Running, 'service'>, at = '/') => `http://127.0.0.1:${service.adminPort}${at}`;

let browser: TestBrowser;

function look(t: TestContext, running: Pick<Running, 'service'>, options: Look = {}, at = '/'): Promise<Tab> {
  return browser.open(t, pageOf(running, at), options);
}

const sentence = ({ page }: Tab) => page.textContent('#verdict h1');
const text = ({ page }: Tab, selector: string) => page.innerText(selector);

/** As a person sees it who comes back to the tab, which makes it fresh at once and not within five seconds. */
function shows(tab: Tab, selector: string, what: RegExp): Promise<void> {
  return eventually(
    async () => {
      await tab.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
      return what.test(await text(tab, selector));
    },
    async () => `${selector} shows: ${await text(tab, selector)}`,
  );
}

describe('the page in a browser', needsBrowser, () => {
  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser.close());

  it('says that all is well, draws plots, and loads nothing from elsewhere', async (t) => {
    const running = await startRunning(t);
    const tab = await look(t, running);
    const asked: string[] = [];
    tab.page.on('request', (request) => asked.push(new URL(request.url()).origin));
    assert.match((await sentence(tab)) ?? '', /^All is well\. No event has come/);
    await idOf(await running.service.post(units('a')));
    await settled(running.service, 0);
    await tab.page.reload();
    await tab.page.waitForSelector('#drawn canvas');
    assert.equal(await tab.page.locator('#drawn canvas').count(), 4);
    assert.deepEqual(await tab.page.evaluate(tooWide), [], 'each plot is as wide as its place');
    const [blue = 0, green = 0] = await tab.page.evaluate<number[]>(drawnColors);
    assert.ok(blue > 100 && green > 100, `accepted and delivered are equal, and both are seen: ${blue}, ${green}`);
    const legends = () => tab.page.locator('.u-legend').allInnerTexts();
    assert.match((await legends())[0] ?? '', /^Time\s*\d\d:\d\dZ\s*Accepted\s*4\s*Delivered\s*4$/);
    const height = await tab.page.evaluate('document.documentElement.scrollHeight');
    await tab.page.locator('#drawn .u-over').first().hover();
    await eventually(async () => /Accepted\s*none/.test((await legends())[0] ?? ''));
    assert.equal(await tab.page.evaluate('document.documentElement.scrollHeight'), height, 'nothing below jumps');
    assert.match((await sentence(tab)) ?? '', /Everything that Apono sent has reached Sentinel/);
    const time = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ[^\t\n]*`;
    assert.match(await text(tab, '#triggers'), new RegExp(`Granted\\s+${time}\\s+${time}`));
    assert.match(await text(tab, '#triggers'), /Expired\s+not seen yet\s+not yet/);
    assert.doesNotMatch(await text(tab, '#triggers'), /Manual|Other/, 'nobody is to switch these on');
    const other = JSON.stringify({ ...JSON.parse(units('b')), event_type: 'RequestManual' });
    await idOf(await running.service.post(other));
    await shows(tab, '#triggers', new RegExp(`Manual\\s+${time}`));
    assert.match(await text(tab, '#machine'), new RegExp(`Webhook secret in use since\\s+${time}`));
    assert.deepEqual([...new Set(asked)], [new URL(pageOf(running)).origin]);
    assert.deepEqual(tab.faults, []);
  });

  it('is complete without scripts, and shows no button that could not work', async (t) => {
    const running = await startRunning(t);
    refuseSomeRows(running.emulator);
    await idOf(await running.service.post(units('a')));
    await settled(running.service, 1);
    const tab = await look(t, running, { javaScriptEnabled: false });
    assert.match((await sentence(tab)) ?? '', /^1 thing needs attention/);
    assert.match(await text(tab, '#verdict'), /apono-sentinel outbox replay --all --state dead/);
    assert.equal(await tab.page.locator('button[type=button]:visible').count(), 0);
    await tab.page.click('#plots summary');
    assert.match(await text(tab, '#plots table'), /4\s+2\s+0/);
    await tab.page.click('#dead a');
    assert.match(await text(tab, '#event'), /2 delivered to Azure[\s\S]*became dead letters: row 1, refused_by_azure/);
  });

  it('names a hold and what to do, and goes back to green once Azure takes rows again', async (t) => {
    const running = await startRunning(t);
    running.emulator.setPublisherRole(false);
    const id = await idOf(await running.service.post(units('a')));
    const tab = await look(t, running);
    await shows(tab, '#verdict', /Stream Custom-AponoAccessRequests_CL is on hold[\s\S]*Monitoring Metrics Publisher/);
    assert.equal(await tab.page.getAttribute('#verdict', 'class'), 'failing');
    assert.match(await text(tab, '#feeds'), /on hold since/);
    const command = tab.page.locator('#verdict code[data-copy]').first();
    assert.match(await command.innerText(), /^az role assignment create [^<>]* --scope "\/subscriptions\/[^<>]*"$/);
    assert.match(await text(tab, 'footer'), /npm run --silent cli --[\s\S]*docker compose exec sentinel/);
    const event = await look(t, running, {}, `/events/${id}`);
    assert.match(await text(event, '.way'), /waiting for Azure: row 0-3\s+Its stream is on hold since .*answered 403/);
    assert.equal(await event.page.getAttribute('.way a', 'href'), '/');
    const [telling] = await event.page.locator('#event tbody td').allInnerTexts();
    assert.equal(telling, 'resource_name', 'a column a line, and what tells most comes first');
    running.emulator.setPublisherRole(true);
    await tab.page.click('#feeds button[data-action=retry]');
    // What the button says is gone with the next refresh, which may come first.
    await shows(tab, '#verdict', /All is well/);
    assert.equal(await tab.page.getAttribute('#verdict', 'class'), 'ok');
    assert.deepEqual(tab.faults, []);
  });

  it('is not green while Azure takes nothing, and says what it answers and when it is tried again', async (t) => {
    const running = await startRunning(t, { LOGS_INGESTION_STREAM_ANOMALY: 'off' });
    const body = { error: { code: 'ServiceUnavailable', message: 'of whom nobody hears' } };
    running.emulator.plan({ target: 'ingest', times: 'forever', answer: { type: 'status', status: 503, body } });
    const tab = await look(t, running);
    assert.match(await text(tab, '#feeds'), /request[^\n]*idle[\s\S]*anomaly[^\n]*off: its events are quarantined/);
    await idOf(await running.service.post(units('a')));
    await shows(
      tab,
      '#verdict',
      /^1 event waits: Azure answers 503 \(ServiceUnavailable\)\. Tried since \d\d:\d\d:\d\dZ, /,
    );
    assert.equal(await tab.page.getAttribute('#verdict', 'class'), 'degraded');
    await shows(tab, '#feeds', /trying again: Azure answers 503 \(ServiceUnavailable\)/);
    running.emulator.clearPlan();
    await tab.page.click('#feeds button[data-action=retry]');
    await shows(tab, '#verdict', /All is well\. Everything/);
    // What the button says stays for a while, and with it the section.
    await tab.page.reload();
    await shows(tab, '#feeds', /request[^\n]*delivering/);
    assert.deepEqual(tab.faults, []);
  });

  it('is not green when nothing answers, knows after a restart what was, and answers while a stop waits for Azure', async (t) => {
    const running = await startRunning(t);
    const { emulator, files } = running;
    await idOf(await running.service.post(units('a')));
    await settled(running.service, 0);
    const tab = await look(t, running);
    await shows(tab, '#updated', /Updated/);
    await running.service.stop();
    await shows(tab, '#updated', /No answer since/);
    const silent = await sentence(tab);
    assert.match(silent ?? '', /^The service has not answered since \d\d:\d\d:\d\dZ: look whether it runs\./);
    assert.equal(await tab.page.getAttribute('#verdict', 'class'), 'silent');
    assert.equal(await tab.page.title(), silent);
    const color = await tab.page.evaluate("getComputedStyle(document.querySelector('#verdict h1')).color");
    assert.equal(color, 'rgb(164, 14, 38)', 'as when it fails');
    await tab.page.waitForEvent('requestfailed');
    assert.equal(await sentence(tab), silent, 'the time is that of the last answer');

    const env = { ...serviceEnv(emulator, files), ADMIN_PORT: String(running.service.adminPort) };
    const service = await startService(t, env);
    await shows(tab, '#verdict', /Everything that Apono sent has reached Sentinel/);
    assert.equal(await tab.page.getAttribute('#verdict', 'class'), 'ok');
    for (const name of ['Last accepted', 'Last delivered']) {
      const figure = tab.page.locator('#figures div', { hasText: name }).locator('dd');
      assert.match(await figure.innerText(), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/, name);
    }
    assert.match(await text(tab, '#refusals'), /No webhook was refused since the start, \d+ s ago/);
    assert.match(await text(tab, '#machine'), /Previous webhook secret used\s+not since the start/);
    const health = (await (await fetch(service.url('/healthz'))).json()) as Record<string, unknown>;
    for (const member of ['last_accepted', 'last_delivery']) assert.ok(Date.parse(String(health[member])) > 0, member);

    emulator.plan({ target: 'ingest', answer: { type: 'hang' } });
    await idOf(await service.post(units('b')));
    await emulator.waitFor(({ remainingPlan }) => remainingPlan.length === 0);
    const stopped = service.stop();
    await shows(tab, '#verdict', /The service is stopping: it takes no webhooks[\s\S]*start the service again/);
    assert.equal(await tab.page.getAttribute('#verdict', 'class'), 'failing');
    assert.match(await text(tab, '#figures'), /Waiting\s+1/);
    const late = await look(t, { service });
    assert.match((await sentence(late)) ?? '', /^1 thing needs attention/);
    await emulator.stop();
    await stopped;
    await shows(tab, '#verdict', /^The service has not answered since/);
  });

  for (const width of [1280, 360]) {
    it(`shows long dead letters and bodies in short, with all that one can do about them in sight, ${width} px`, async (t) => {
      const running = await startRunning(t);
      refuseSomeRows(running.emulator);
      const event = JSON.parse(units('a'));
      event.data.access_groups[0].access_units[0].resource.name = 'r'.repeat(60_000);
      await idOf(await running.service.post(JSON.stringify(event)));
      await settled(running.service, 1);
      await running.service.post(`{"foo":"${'x'.repeat(5_000)}"}`);
      await running.service.post('{"event_type":"{{data.event_type}}"}');
      const tab = await look(t, running, { width });
      await tab.page.waitForSelector('#quarantined a');
      for (const section of ['#dead', '#quarantined']) {
        for (const line of (await text(tab, section)).split(/[\n\t]/)) assert.ok(line.length < 300, line);
        const hidden = await tab.page.evaluate(outOfSight(section));
        assert.deepEqual(hidden, [], `${section}: nothing to the right of the window`);
        const purge = tab.page.locator(`${section} code[data-copy]`, { hasText: /^apono-sentinel outbox purge [vq]1/ });
        assert.ok((await purge.count()) > 0, section);
      }
      assert.match(await text(tab, '#dead'), /refused_by_azure: Azure refused these rows for good/);
      assert.match(
        await text(tab, '#quarantined'),
        /placeholders_left: Copy the whole template.* A replay never helps/,
      );
      const buttons = tab.page.locator('#quarantined tr', { hasText: 'placeholders_left' }).locator('.actions');
      assert.equal(await buttons.count(), 0, 'no button that never helps');
      const copied = await tab.page.locator('code[data-copy]').allInnerTexts();
      assert.deepEqual(
        copied.filter((code) => !/^\S+ /.test(code)),
        [],
        'a word is no command',
      );
      assert.match(await text(tab, '#updated'), /^Updated \d\d:\d\d:\d\dZ$/);
      assert.deepEqual(tab.faults, []);
    });
  }

  it('replays a dead letter after a dry run, with the keyboard alone', async (t) => {
    const running = await startRunning(t);
    refuseSomeRows(running.emulator);
    await idOf(await running.service.post(units('a')));
    await settled(running.service, 1);
    const { page, faults } = await look(t, running);
    await page.waitForSelector('#drawn canvas');
    assert.match(await page.innerText('#dead'), /refused_by_azure\s+InvalidPayload/);
    const press = async (name: string) => {
      const button = page.locator(`#dead button[data-action=${name}]`);
      // Tab reaches it, as somebody without a mouse does.
      for (let presses = 0; presses < 80; presses++) {
        await page.keyboard.press('Tab');
        if (await button.evaluate((element) => element.ownerDocument.activeElement === element)) break;
      }
      await page.keyboard.press('Enter');
    };
    await press('dry-run');
    await page.waitForSelector('#dead .result');
    assert.match(await page.innerText('#dead .result'), /2 rows would be sent again/);
    assert.equal(resourceIds(running.emulator).length, 2, 'a dry run sends nothing');
    running.emulator.clearPlan();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await eventually(() => resourceIds(running.emulator).length === 4);
    await eventually(async () => /2 rows will be sent again/.test(await page.innerText('#dead .result')));
    assert.deepEqual(faults, []);
  });

  it('finds an event that was delivered by its id, and says when; a purged one is not said to be', async (t) => {
    const running = await startRunning(t, { ADMIN_TOKEN: adminToken });
    const id = await idOf(await running.service.post(units('a')));
    await settled(running.service, 0);
    const tab = await look(t, running);
    await tab.page.fill('#token', adminToken);
    await tab.page.keyboard.press('Enter');
    await tab.page.waitForSelector('#verdict.ok');
    await tab.page.fill('#event-id', ` ${id.slice(0, 20)} `);
    await tab.page.keyboard.press('Enter');
    await tab.page.waitForSelector('#event .way');
    assert.match(
      await text(tab, '#event'),
      new RegExp(`${id}[\\s\\S]*accepted and stored: 4 rows[\\s\\S]*Z.*all rows delivered to Azure`),
    );
    assert.match(await text(tab, '#event'), new RegExp(`AponoAccessRequests_CL \\| where event_id == "${id}"`));
    running.emulator.setPublisherRole(false);
    const purged = await idOf(await running.service.post(units('b')));
    const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
    const body = JSON.stringify({ ids: [purged] });
    const answer = await fetch(pageOf(running, '/admin/v1/outbox/purge'), { method: 'POST', headers, body });
    assert.equal(answer.status, 200);
    await tab.page.goto(pageOf(running, `/events/${purged}`));
    await tab.page.waitForSelector('#event .way');
    assert.match(await text(tab, '#event .way'), /deleted: it was purged/);
    assert.deepEqual(tab.faults, []);
  });

  it('shows a body in quarantine as text, whatever is in it, and counts refusals by code and address', async (t) => {
    const running = await startRunning(t);
    const body = '{"event_type": <script>document.title = "owned"</script><img src=x onerror="document.title=1">';
    assert.equal((await running.service.post(body)).status, 400);
    await fetch(running.service.url('/apono/webhook'), { method: 'POST', body: '{}' });
    const tab = await look(t, running);
    await tab.page.waitForSelector('#quarantined a');
    assert.match(await text(tab, '#refusals'), /secret_missing[\s\S]*127\.0\.0\.1\s+1/);
    assert.match(await text(tab, '#verdict'), /1 webhook was refused within the last hour/);
    assert.match(await text(tab, '#quarantined'), /body_not_json[\s\S]*line 1/);
    await tab.page.click('#quarantined a');
    assert.equal(await tab.page.innerText('#event pre'), body);
    assert.notEqual(await tab.page.title(), 'owned');
    assert.deepEqual(tab.faults, []);
  });

  it('names a damaged database and the command that reads it', async (t) => {
    const emulator = await startTestEmulator(t);
    const files = await serviceFiles(t, emulator);
    await mkdir(files.dataDir);
    await writeFile(
      path.join(files.dataDir, 'outbox.db'),
      'this is no database, and it is long enough to be one'.repeat(99),
    );
    const service = await startService(t, serviceEnv(emulator, files));
    const tab = await look(t, { service });
    assert.match(
      await text(tab, '#verdict'),
      /A damaged database was set aside[\s\S]*Stop the service, run apono-sentinel outbox salvage/,
    );
    assert.equal(await tab.page.getAttribute('#verdict', 'class'), 'degraded');
  });

  it('asks for the token, keeps it in the tab alone, and forgets a wrong one', async (t) => {
    const running = await startRunning(t, { ADMIN_TOKEN: adminToken });
    const { page, faults } = await look(t, running);
    assert.equal(await page.locator('#verdict').count(), 0);
    await page.fill('#token', 'not the token of it');
    await page.keyboard.press('Enter');
    await eventually(async () => /not the token/.test(await page.innerText('#sign-in-failed')));
    await page.fill('#token', adminToken);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#verdict.ok');
    await page.reload();
    await page.waitForSelector('#verdict.ok');
    assert.deepEqual(await page.context().cookies(), []);
    assert.equal(await page.evaluate('localStorage.length'), 0);
    assert.ok(!(await page.content()).includes(adminToken));
    const other = await page.context().newPage();
    await other.goto(pageOf(running));
    assert.equal(await other.locator('#sign-in').count(), 1, 'another tab has no token');
    assert.deepEqual(faults, []);
  });

  for (const colorScheme of ['light', 'dark'] as const) {
    it(`fits a telephone and is legible, ${colorScheme}`, async (t) => {
      const running = await startRunning(t);
      refuseSomeRows(running.emulator);
      await idOf(await running.service.post(units('a')));
      await settled(running.service, 1);
      await running.service.post('no json');
      // A hold has the longest words: ids and commands without a blank.
      running.emulator.clearPlan();
      running.emulator.setPublisherRole(false);
      await idOf(await running.service.post(units('held')));
      await eventually(async () => (await healthOf(running.service))['held'] === 1);
      const tab = await look(t, running, { colorScheme, width: 360 });
      await tab.page.waitForSelector('#drawn canvas');
      assert.equal(await tab.page.evaluate('document.documentElement.scrollWidth'), 360);
      assert.deepEqual(await tab.page.evaluate(lowContrasts), []);
    });
  }
});

/** What ends to the right of the window in a section. Runs in the page. */
const outOfSight = (section: string) => `[...document.querySelectorAll('${section} *')]
  .filter((element) => element.getBoundingClientRect().right > innerWidth - 16)
  .map((element) => element.outerHTML.slice(0, 100))`;

/** Runs in the page. */
const tooWide = `[...document.querySelectorAll('.plot')]
  .map((plot) => [plot.clientWidth, plot.querySelector('.uplot').offsetWidth])
  .filter(([place, drawn]) => drawn > place)`;

/** How many pixels of the first plot are of the colour of what was accepted, and of what was delivered. In the page. */
const drawnColors = `(() => {
  const canvas = document.querySelector('#drawn canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const pixels = [...Array(data.length / 4).keys()].map((at) => data.slice(4 * at, 4 * at + 4));
  const strong = pixels.filter(([, , , alpha]) => alpha > 100);
  return [strong.filter(([r, g, b]) => b > r + 80 && b > g + 40).length, strong.filter(([r, g, b]) => g > r + 80 && g > b + 40).length];
})()`;

/** Texts whose contrast with their ground is below 4.5 (WCAG 2.2, 1.4.3). Runs in the page. */
const lowContrasts = `(() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((value) => value / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const groundOf = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('main *, header *, footer')]
    .filter((element) => element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
    .map((element) => {
      const [a, b] = [light(parse(getComputedStyle(element).color)), light(groundOf(element))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), element.textContent.trim().slice(0, 40)];
    })
    .filter(([contrast]) => contrast < 4.5);
})()`;
