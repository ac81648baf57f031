// Keeps the admin page fresh, draws its plots, and sends what its buttons ask for. The page is complete without it,
// except where ADMIN_TOKEN is set: a browser sends no token by itself.
const REFRESH_MS = 5_000;
/** How long the result of a button is left where it is, at least. */
const RESULT_MS = 15_000;
const TOKEN = 'apono-sentinel admin token';

document.documentElement.classList.add('scripted');
const main = document.querySelector('main');
const updated = document.querySelector('#updated');
let token = sessionStorage.getItem(TOKEN);
let isLoading = false;
/** When the service last answered; the page itself is such an answer. */
let answeredAt = clockTime();

/** Every request of this page. Rejects when nothing answers within ten seconds. */
function ask(url, options = {}) {
  const authorization = token === null ? {} : { Authorization: `Bearer ${token}` };
  return fetch(url, {
    ...options,
    headers: { ...authorization, ...options.headers },
    cache: 'no-store',
    signal: AbortSignal.timeout(10_000),
  });
}

// ---- The page

/** Gets this page anew and takes over the sections that changed. */
async function refresh() {
  if (isLoading) return;
  isLoading = true;
  const loaded = await load().catch(() => null);
  isLoading = false;
  if (loaded === null) return showSilence();
  const { page, history } = loaded;
  answeredAt = clockTime();
  const signIn = page.querySelector('#sign-in');
  if (signIn !== null) return showSignIn(signIn);
  document.title = page.title;
  exchange(page);
  if (history !== null) drawPlots(history);
  updated.textContent = `Updated ${answeredAt}`;
}

/** Rejects when nothing answers, or something else does. */
async function load() {
  const answer = await ask(location.href, { headers: { Accept: 'text/html' } });
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  if (page.querySelector('main') === null) throw new Error(`HTTP ${answer.status}`);
  const hasPlots = page.querySelector('#drawn') !== null && typeof uPlot !== 'undefined';
  const figures = hasPlots ? await ask('/admin/v1/history') : null;
  return { page, history: figures?.ok ? await figures.json() : null };
}

/** What the service said last must not be taken for how it is now: most of all not that all is well. */
function showSilence() {
  updated.textContent = `No answer since ${answeredAt}`;
  tellAges();
  const verdict = document.querySelector('#verdict');
  if (verdict === null) return;
  const sentence = `The service has not answered since ${answeredAt}: look whether it runs. What stands below was so then.`;
  if (verdict.className !== 'silent') verdict.querySelector('h1').textContent = sentence;
  verdict.className = 'silent';
  document.title = sentence;
}

/** In UTC, as everywhere on the page. */
function clockTime() {
  return `${new Date().toISOString().slice(11, 19)}Z`;
}

function showSignIn(signIn) {
  const wasRefused = token !== null;
  forget();
  if (document.querySelector('#sign-in') === null) main.replaceChildren(document.adoptNode(signIn));
  if (wasRefused) document.querySelector('#sign-in-failed').textContent = 'This is not the token of the service.';
  listenForSignIn();
}

/** A section in which somebody types, selects or reads a result stays as it is until the next time. */
function exchange(page) {
  const fresh = [...page.querySelectorAll('main > section')];
  const isSame = fresh.length === main.children.length && fresh.every(({ id }, at) => main.children[at].id === id);
  if (!isSame) main.replaceChildren();
  for (const section of fresh) {
    const source = section.outerHTML;
    const old = isSame ? document.getElementById(section.id) : null;
    if (old === null) main.append(section);
    else if (old.className === 'silent' || (old.dataset.source !== source && !isInUse(old))) exchangeOne(old, section);
    else continue;
    const placed = document.getElementById(section.id);
    placed.dataset.source = source;
    decorate(placed);
  }
  tellAges();
}

function exchangeOne(old, fresh) {
  const open = [...old.querySelectorAll('details')].map((details) => details.open);
  const drawn = old.querySelector('#drawn');
  const source = fresh.cloneNode(true);
  for (const [at, details] of source.querySelectorAll('details').entries()) details.open = open[at] === true;
  // The plots keep their place and their zoom.
  if (drawn !== null) source.querySelector('#drawn')?.replaceWith(drawn);
  old.replaceWith(source);
}

function isInUse(section) {
  const selection = getSelection();
  const selects = selection !== null && !selection.isCollapsed && selection.containsNode(section, true);
  const isRecent = ({ dataset }) => Date.now() - Number(dataset.at) < RESULT_MS;
  const results = [...section.querySelectorAll('.result')];
  // The button that was pressed still has the focus when its result has been read.
  const focused = document.activeElement.closest('.actions')?.querySelector('.result') ?? null;
  return selects || results.some(isRecent) || (section.contains(document.activeElement) && focused === null);
}

/** Adds what only scripts can do: how long ago a time is, and buttons to copy commands. */
function decorate(root) {
  for (const element of root.querySelectorAll('time')) element.append(document.createElement('small'));
  for (const code of root.querySelectorAll('code[data-copy]')) {
    const text = code.textContent;
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'copy';
    button.textContent = 'Copy';
    button.setAttribute('aria-label', `Copy ${text}`);
    button.addEventListener('click', () => copy(code, button));
    code.after(button);
  }
}

function tellAges() {
  for (const small of document.querySelectorAll('time small')) {
    small.textContent = ` (${agoOf(Date.parse(small.parentElement.dateTime))})`;
  }
}

/** Where the browser does not let a page write to the clipboard, the text is selected. */
async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = 'Selected';
  }
}

function agoOf(timeMs) {
  const seconds = Math.round((Date.now() - timeMs) / 1000);
  const [amount, unit] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ].find(([size]) => Math.abs(seconds) >= size) ?? [1, 's'];
  const count = Math.floor(Math.abs(seconds) / amount);
  return seconds < 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

// ---- Signing in

function listenForSignIn() {
  document.querySelector('#sign-in form')?.addEventListener('submit', (event) => {
    event.preventDefault();
    token = document.querySelector('#token').value;
    sessionStorage.setItem(TOKEN, token);
    void refresh();
  });
}

function forget() {
  token = null;
  sessionStorage.removeItem(TOKEN);
}

// ---- Buttons

main.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-action]');
  if (button === null) return;
  const actions = button.closest('.actions');
  const { action } = button.dataset;
  if (action === 'retry') {
    void order(actions, '/admin/v1/outbox/retry', { kind: actions.dataset.kind }, retryText);
  } else {
    const isDryRun = action === 'dry-run';
    const body = { ids: [actions.dataset.id], dry_run: isDryRun };
    void order(actions, '/admin/v1/outbox/replay', body, ({ results }) => replayText(results[0], isDryRun));
  }
});

async function order(actions, path, body, textOf) {
  const result = actions.querySelector('[role=status]');
  const buttons = actions.querySelectorAll('button');
  for (const button of buttons) button.disabled = true;
  result.textContent = '…';
  try {
    const answer = await ask(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const json = await answer.json();
    result.textContent = answer.ok ? textOf(json) : `${json.title}: ${json.detail}`;
  } catch {
    result.textContent = 'The service did not answer. Look at the list again before you repeat it.';
  }
  result.classList.add('result');
  result.dataset.at = Date.now();
  for (const button of buttons) button.disabled = false;
}

function retryText({ resumed }) {
  return resumed.length > 0 ? 'It is tried again at once.' : 'Nothing waits to be tried again.';
}

function replayText(result, isDryRun) {
  const would = isDryRun ? 'would' : 'will';
  switch (result.outcome) {
    case 'revived':
      return `${result.rows} ${result.rows === 1 ? 'row' : 'rows'} ${would} be sent again. What Azure refuses comes back here.`;
    case 'accepted': {
      const rows = result.events.reduce((sum, event) => sum + (event.duplicate ? 0 : event.rows), 0);
      return `It is understood now: ${rows} ${rows === 1 ? 'row' : 'rows'} ${would} be sent.`;
    }
    case 'still_refused':
      return `It is still not understood: ${result.detail}`;
    case 'unavailable':
      return 'The outbox is full or does not answer; what was asked may be done all the same.';
    default:
      return result.detail ?? 'There is nothing to replay any more.';
  }
}

// ---- Plots

const plots = [
  {
    title: 'Rows a minute',
    isCount: true,
    series: [
      ['Accepted', 'rows_accepted', 'accepted'],
      ['Delivered', 'rows_delivered', 'delivered'],
    ],
  },
  { title: 'Refused requests a minute', isCount: true, series: [['Refused', 'requests_refused', 'refused']] },
  { title: 'Oldest that waits, seconds', series: [['Oldest', 'oldest_waiting_seconds', 'waiting']] },
  {
    title: 'Time to delivered, seconds',
    series: [
      ['Slowest', 'delivery_max_seconds', 'waiting'],
      ['Mean', 'delivery_mean_seconds', 'delivered'],
    ],
  },
];
/** In minutes. A young service shows at least so many; up to so many are drawn as bars, which show a lone minute too. */
const MIN_SHOWN = 20;
const MAX_BARS = 180;
let drawn = [];

function drawPlots(history) {
  const place = document.querySelector('#drawn');
  const start = firstShown(history);
  const data = plots.map(({ series }) =>
    ['time', ...series.map(([, column]) => column)].map((column) => history[column].slice(start)),
  );
  if (drawn.length > 0 && place.contains(drawn[0].root)) {
    for (const [at, plot] of drawn.entries()) plot.setData(data[at]);
    return;
  }
  // All at once: how wide each is depends on how many there are.
  const holders = plots.map(holderOf);
  place.replaceChildren(...holders);
  place.hidden = false;
  drawn = plots.map((plot, at) => draw(holders[at], plot, data[at]));
}

/** A young service shows the minutes for which it has figures, an old one the whole day. */
function firstShown({ time, rows_accepted: known }) {
  const first = known.findIndex((value) => value !== null);
  return Math.min(first < 0 ? time.length : first, time.length - MIN_SHOWN);
}

/** Where the neighbours are not known, a line would show nothing. */
function lonePoints({ data }, column) {
  const values = data[column];
  return [...values.keys()].filter(
    (at) => values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null,
  );
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function holderOf({ title }) {
  const holder = document.createElement('div');
  holder.className = 'plot';
  holder.setAttribute('role', 'img');
  holder.setAttribute('aria-label', `${title}; the table below says the same`);
  return holder;
}

/**
 * The first series is a filled area or a wide bar, and the second a line or a narrow bar on top of it, so that both are
 * seen where they are equal.
 */
function draw(holder, { title, isCount, series }, data) {
  const axis = {
    stroke: () => colour('quiet'),
    grid: { stroke: () => colour('line'), width: 1 },
    ticks: { show: false },
  };
  const line = uPlot.paths.linear();
  const bars = [0.9, 0.4].map((size) => uPlot.paths.bars({ size: [size] }));
  // It has no data yet while it is made.
  const areBars = (plot) => (plot.data ?? data)[0].length <= MAX_BARS;
  const options = {
    title,
    width: holder.clientWidth,
    height: 180,
    // Without room on the right the last time would be cut.
    padding: [null, 28, null, null],
    series: [
      { value: (_plot, seconds) => timeOfDay(seconds) },
      ...series.map(([label, , name], at) => ({
        label,
        stroke: () => colour(name),
        fill: (plot) => (at === 0 ? `${colour(name)}80` : areBars(plot) ? colour(name) : null),
        width: 1,
        value: (_plot, value) => (value === null ? 'none' : String(value)),
        paths: (plot, ...drawing) => (areBars(plot) ? bars[at] : line)(plot, ...drawing),
        points: {
          show: true,
          size: 4,
          fill: () => colour(name),
          filter: (plot, column) => (areBars(plot) ? [] : lonePoints(plot, column)),
        },
      })),
    ],
    scales: {
      x: { range: (_plot, first, last) => [first - 30, last + 30] },
      // The highest peak must not touch the upper edge.
      y: { range: (_plot, _low, high) => [0, Math.max(1, high ?? 0) * 1.15] },
    },
    // Times are in UTC, as everywhere on the page.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    axes: [
      { ...axis, size: 32, values: (_plot, seconds) => seconds.map(timeOfDay) },
      { ...axis, size: 60, ...(isCount && { incrs: wholeSteps }) },
    ],
    hooks: { ready: [showLast], setData: [showLast], setCursor: [showLast] },
  };
  return new uPlot(options, data, holder);
}

/** There is no half of a row. */
const wholeSteps = [...Array(9).keys()].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));

/** While nobody points at a minute, the legend has the figures of the last one. */
function showLast(plot) {
  if ((plot.cursor.idx ?? null) === null) plot.setLegend({ idx: plot.data[0].length - 1 });
}

function timeOfDay(seconds) {
  return seconds === null ? '' : `${new Date(seconds * 1000).toISOString().slice(11, 16)}Z`;
}

addEventListener('resize', () => {
  for (const plot of drawn) plot.setSize({ width: plot.root.parentElement.clientWidth, height: 180 });
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const plot of drawn) plot.redraw();
});

// ---- Start

decorate(main);
tellAges();
listenForSignIn();
if (document.querySelector('#sign-in') === null || token !== null) void refresh();
setInterval(refreshIfSeen, REFRESH_MS);
// Somebody comes back to this tab, and must not see for seconds what was so long ago.
document.addEventListener('visibilitychange', refreshIfSeen);

function refreshIfSeen() {
  const waitsForToken = document.querySelector('#sign-in') !== null && token === null;
  if (!document.hidden && !waitsForToken) void refresh();
}
