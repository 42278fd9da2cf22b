// What all pages share: asking the API, showing one state at a time, copying, and words for numbers and times.
// Text from anywhere reaches the page through textContent or a form value only.

export const base = document.documentElement.dataset.base;
export const publicUrl = document.documentElement.dataset.publicUrl;
export const siteName = document.documentElement.dataset.siteName;
export const main = document.getElementById('main');

const TIMEOUT_MS = 30000;

export function $(id) {
  return document.getElementById(id);
}

/// An element with attributes and children; strings become text.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/// Asks the JSON API. Never throws: a broken connection is status 0 and code NETWORK.
export async function api(path, body, headers = {}) {
  const request = { headers: { Accept: 'application/json', ...headers }, cache: 'no-store' };
  if (body !== undefined) {
    request.method = 'POST';
    request.headers['Content-Type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  if (AbortSignal.timeout) request.signal = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  let data = null;
  try {
    response = await fetch(base + path, request);
    data = await response.json().catch(() => null);
  } catch {
    return { ok: false, status: 0, code: 'NETWORK', data: null, retryAt: null, skew: 0 };
  }
  const code = data && typeof data.message === 'string' ? data.message : '';
  const ok = response.ok && data !== null && !(data.statusCode >= 400);
  return { ok, status: response.status, code, data, retryAt: retryTime(response), skew: clockSkew(response) };
}

function retryTime(response) {
  const value = response.headers.get('Retry-After');
  if (!value) return null;
  const time = /^\d+$/.test(value.trim()) ? Date.now() + Number(value) * 1000 : Date.parse(value);
  return Number.isFinite(time) ? time : null;
}

/// How far this clock is ahead of the server's, in ms: countdowns must not depend on a phone's wrong clock.
function clockSkew(response) {
  const theirs = Date.parse(response.headers.get('Date') ?? '');
  const skew = Date.now() - theirs;
  return Number.isFinite(skew) && Math.abs(skew) > 2000 ? skew : 0;
}

/// Shows the sections that belong to `state` and hides the others.
/// Focus that would be lost with a hidden section moves to the heading of what is shown now.
export function setState(state) {
  const changed = main.dataset.state !== state;
  const held = document.activeElement;
  main.dataset.state = state;
  for (const section of main.querySelectorAll('[data-when]')) {
    section.hidden = !section.dataset.when.split(' ').includes(state);
  }
  if (changed && held && held !== document.body && held.closest('[hidden]')) {
    const heading = [...main.querySelectorAll('[data-when] [tabindex="-1"]')]
      .find((candidate) => /^H\d$/.test(candidate.tagName) && !candidate.closest('[hidden]'));
    heading?.focus();
  }
  return changed;
}

/// Says something to screen readers.
export function announce(text) {
  const line = $('announcer');
  if (line.textContent !== text) line.textContent = text;
}

export function setText(target, text) {
  const node = typeof target === 'string' ? $(target) : target;
  if (node.textContent !== text) node.textContent = text;
}

/// What somebody wrote, in its own direction, whatever stands around it.
export function theirs(text) {
  return element('bdi', {}, text);
}

/// The same as `setText` for words with what somebody wrote among them: strings, and elements of `theirs()`.
export function setWords(target, ...parts) {
  const node = typeof target === 'string' ? $(target) : target;
  const made = element('span', {}, ...parts);
  if (node.innerHTML !== made.innerHTML) node.replaceChildren(...made.childNodes);
}

/// Shows what is wrong with each field of a form, and takes away what was wrong before. `errors`: names and texts.
/// Errors stand in the elements with `data-error`; `inputs`: names and fields. Answers the first wrong field.
export function showErrors(form, inputs, errors) {
  for (const place of form.querySelectorAll('[data-error]')) {
    const name = place.dataset.error;
    setText(place, errors[name] ?? '');
    if (name === 'form') place.hidden = !errors.form;
    markField(inputs[name], errors[name]);
  }
  const wrong = Object.keys(inputs).filter((name) => errors[name]).map((name) => inputs[name]);
  for (const input of wrong) if (input.closest('details')) input.closest('details').open = true;
  wrong[0]?.focus();
  return wrong[0] ?? null;
}

/// Says of a field that what is in it is wrong, or not.
export function markField(input, isWrong) {
  if (isWrong) input?.setAttribute('aria-invalid', 'true');
  else input?.removeAttribute('aria-invalid');
}

/// Takes the error of a field away while somebody mends it.
export function mendsErrors(form) {
  form.addEventListener('input', (event) => {
    if (!event.target.getAttribute('aria-invalid')) return;
    markField(event.target, false);
    const place = event.target.closest('.field')?.querySelector('[data-error]');
    if (place) setText(place, '');
  });
}

export function showQr(image, text) {
  const source = `${base}/qr.svg?text=${encodeURIComponent(text)}`;
  if (image.getAttribute('src') !== source) image.src = source;
}

/// The QR code, link and copy field of an invoice or LNURL. Upper case makes the QR code smaller, and wallets read both.
export function showPayable({ link, image, open, field }, text) {
  const upper = text.toUpperCase();
  for (const anchor of [link, open]) if (anchor) $(anchor).href = `lightning:${upper}`;
  showQr($(image), upper);
  $(field).value = text;
}

const numbers = new Intl.NumberFormat('en');

export function sat(amount) {
  return Number.isFinite(Number(amount)) ? numbers.format(Number(amount)) : '';
}

/// Milliseconds of a time that the API wrote as seconds, as ISO text or as {_seconds}. Null for none.
export function timeOf(value) {
  if (value === null || value === undefined || value === '') return null;
  if (typeof value === 'object') return timeOf(value._seconds);
  const time = typeof value === 'number' || /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value);
  return Number.isFinite(time) ? time : null;
}

export function dateText(ms) {
  return new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

export function clockText(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value) => String(value).padStart(2, '0');
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/// Counts down to `until` (ms) in an element, then calls `done`. Returns what stops it.
export function countdown(node, until, done) {
  let timer;
  const tick = () => {
    const left = until - Date.now();
    setText(node, clockText(left));
    if (left <= 0) {
      clearInterval(timer);
      done?.();
    }
  };
  timer = setInterval(tick, 1000);
  tick();
  return () => clearInterval(timer);
}

export function giftUrl(orderId) {
  return `${publicUrl}/redeem/${encodeURIComponent(orderId)}`;
}

export function manageUrl(orderId, key) {
  return `${publicUrl}/manage/${encodeURIComponent(orderId)}#${encodeURIComponent(key)}`;
}

/// The same page on the host that the visitor is on now.
export function localPath(url) {
  return url.startsWith(publicUrl) ? base + url.slice(publicUrl.length) : url;
}

/// Marks a form's button as working and gives back what undoes it; null if it is working already.
/// The button is not disabled in the browser's sense: it would lose the focus.
export function busy(button, text) {
  if (button.getAttribute('aria-disabled')) return null;
  const before = button.textContent;
  button.setAttribute('aria-disabled', 'true');
  button.textContent = text;
  return () => {
    button.removeAttribute('aria-disabled');
    button.textContent = before;
  };
}

// A wallet on a phone takes the screen. Elsewhere nobody can tell whether one has opened, so the words leave it open.
const WALLET_MS = 1500;
const NO_WALLET = 'Has no wallet opened? Then scan the code with a wallet on your phone, or copy the text below the code into one. '
  + 'If you have none yet, install a Lightning wallet first.';

/// Links to wallets do nothing where there is none, and the browser doesn't say so.
document.addEventListener('click', (event) => {
  const link = event.target instanceof Element && event.target.closest('a[href^="lightning:"]');
  if (!link) return;
  const hint = link.parentElement.querySelector('.wallet-hint') ?? element('p', { class: 'note warn wallet-hint', hidden: '' });
  hint.hidden = true;
  // Below the button if there is one, so that it is seen next to what was pressed.
  (link.matches('.button') ? link : link.parentElement.querySelector('a.button[href^="lightning:"]') ?? link).after(hint);
  const opened = new AbortController();
  const timer = setTimeout(() => {
    opened.abort();
    if (document.hidden) return;
    setText(hint, NO_WALLET);
    hint.hidden = false;
    announce(NO_WALLET);
  }, WALLET_MS);
  const stop = () => {
    clearTimeout(timer);
    opened.abort();
  };
  for (const [target, name] of [[window, 'pagehide'], [document, 'visibilitychange']]) {
    target.addEventListener(name, stop, { signal: opened.signal });
  }
});

async function copyText(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    // No clipboard outside secure contexts: select the text, and let the browser copy the selection if it still can.
    field.focus();
    field.select();
    return document.execCommand('copy');
  }
}

const COPIED_MS = 1800;

document.addEventListener('click', async (event) => {
  const button = event.target instanceof Element && event.target.closest('[data-copy]');
  if (!button) return;
  const label = button.dataset.label ??= button.textContent;
  const copied = await copyText($(button.dataset.copy));
  button.focus();
  button.textContent = copied ? 'Copied' : 'Press Ctrl+C';
  announce(copied ? 'Copied' : 'The text is selected: copy it with the keyboard');
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = setTimeout(() => {
    button.textContent = label;
    announce('');
  }, COPIED_MS);
});

document.addEventListener('focusin', (event) => {
  if (event.target instanceof HTMLInputElement && event.target.readOnly) event.target.select();
});
