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
  try {
    const answer = await ask(location.href, { headers: { Accept: 'text/html' } });
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (page.querySelector('main') === null) throw new Error(`HTTP ${answer.status}`);
    const signIn = page.querySelector('#sign-in');
    if (signIn !== null) return showSignIn(signIn);
    document.title = page.title;
    exchange(page);
    await drawPlots();
    updated.textContent = `Updated ${clockTime()}`;
    updated.classList.remove('late');
  } catch {
    updated.textContent = `No answer since ${updated.dataset.last ?? 'the page was loaded'}`;
  } finally {
    isLoading = false;
  }
  updated.dataset.last = clockTime();
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
    else if (old.dataset.source !== source && !isInUse(old)) exchangeOne(old, section);
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
      return `${result.rows} ${result.rows === 1 ? 'row' : 'rows'} ${would} be sent again.`;
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
    series: [
      ['Accepted', 'rows_accepted', 'accepted'],
      ['Delivered', 'rows_delivered', 'delivered'],
    ],
  },
  { title: 'Refused requests a minute', series: [['Refused', 'requests_refused', 'refused']] },
  { title: 'Oldest that waits, seconds', series: [['Oldest', 'oldest_waiting_seconds', 'waiting']] },
  {
    title: 'Time to delivered, seconds',
    series: [
      ['Mean', 'delivery_mean_seconds', 'delivered'],
      ['Slowest', 'delivery_max_seconds', 'waiting'],
    ],
  },
];
let drawn = [];

async function drawPlots() {
  const place = document.querySelector('#drawn');
  if (place === null || typeof uPlot === 'undefined') return;
  const answer = await ask('/admin/v1/history');
  if (!answer.ok) return;
  const history = await answer.json();
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

/** A young service shows the hour or more for which it has figures, an old one the whole day. */
function firstShown({ time, rows_accepted: known }) {
  const first = known.findIndex((value) => value !== null);
  return Math.min(first < 0 ? time.length : first, time.length - 60);
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

function draw(holder, { title, series }, data) {
  const axis = {
    stroke: () => colour('quiet'),
    grid: { stroke: () => colour('line'), width: 1 },
    ticks: { show: false },
  };
  const options = {
    title,
    width: holder.clientWidth,
    height: 180,
    series: [
      { value: '{YYYY}-{MM}-{DD} {HH}:{mm}Z' },
      ...series.map(([label, , name]) => ({
        label,
        stroke: () => colour(name),
        width: 1.5,
        points: { show: true, size: 4, fill: () => colour(name), filter: lonePoints },
      })),
    ],
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high ?? 1)] } },
    // Times are in UTC, as everywhere on the page.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    axes: [
      {
        ...axis,
        values: (_plot, seconds) => seconds.map((at) => `${new Date(at * 1000).toISOString().slice(11, 16)}Z`),
      },
      { ...axis, size: 60 },
    ],
  };
  return new uPlot(options, data, holder);
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
setInterval(() => {
  const waitsForToken = document.querySelector('#sign-in') !== null && token === null;
  if (!document.hidden && !waitsForToken) void refresh();
}, REFRESH_MS);
