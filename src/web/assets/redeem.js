// The recipient's page: from a link to the sats in a wallet.

import {
  $, announce, api, busy, countdown, dateText, main, sat, setState, setText, setWords, showPayable, theirs, timeOf,
} from './common.js';
import { explain } from './errors.js';
import { isFinal, payoutError, stateOf } from './gift.js';
import { Follower } from './live.js';

const orderId = main.dataset.orderId;
const path = `/gift/${encodeURIComponent(orderId)}`;
const CODE_KEY = `satchel.code.${orderId}`;
const UNKNOWN_LOCK_MS = 15 * 60 * 1000;
const RETRY_MS = 5000;
const SLOWEST_RETRY_MS = 60000;

let code = takeCode();
let gift = null;
let follower = null;
let lockedUntil = 0;
let stopCountdown = null;
let expiryTimer = 0;
let retryTimer = 0;
let retryDelay = RETRY_MS;
let redeemedHere = false;

/// The code from the link, which then leaves the address bar and the history, or the one that this tab was told before.
function takeCode() {
  const url = new URL(location.href);
  const given = url.searchParams.get('verifyCode');
  if (given !== null) {
    url.searchParams.delete('verifyCode');
    history.replaceState(null, '', url);
  }
  try {
    return given || sessionStorage.getItem(CODE_KEY);
  } catch {
    return given;
  }
}

function keepCode(value) {
  code = value;
  try {
    if (value) sessionStorage.setItem(CODE_KEY, value);
    else sessionStorage.removeItem(CODE_KEY);
  } catch {
    // Without storage the code is asked for again after a reload.
  }
}

// ---- fetching -------------------------------------------------------------------------------------------------------

const ask = (withCode) => api(withCode ? `${path}?verifyCode=${encodeURIComponent(withCode)}` : path);

async function load() {
  clearTimeout(retryTimer);
  const answer = await ask(code);
  if (!answer.ok) return trouble(answer);
  retryDelay = RETRY_MS;
  if (answer.data.verifyCodeRequired && code) {
    keepCode(null);
    showCodeError(wrongCode(answer));
  } else if (code) {
    keepCode(code);
  }
  draw(answer.data);
  follow();
}

/// Only ever with a code that was right: each read with a wrong one counts towards the lock.
function follow() {
  follower?.stop();
  follower = null;
  if (gift && isFinal(stateOf(gift))) return;
  follower = new Follower(orderId, { code: gift?.verifyCodeRequired ? null : code, onGift: draw, onTrouble: trouble });
}

function trouble(answer) {
  if (answer.code === 'VERIFY_CODE_LOCKED') return lock(answer);
  if (answer.status === 404) {
    follower?.stop();
    setState('not_found');
    announce('There is no such gift');
    return;
  }
  const { text } = explain(answer);
  if (gift) {
    setText('stale', `${text} What you see may be old.`);
    $('stale').hidden = false;
    return;
  }
  setText('trouble-text', text);
  setState('trouble');
  clearTimeout(retryTimer);
  const wait = Math.max(retryDelay, (answer.retryAt ?? 0) - Date.now());
  retryDelay = Math.min(retryDelay * 2, SLOWEST_RETRY_MS);
  retryTimer = setTimeout(load, wait);
}

function lock(answer) {
  follower?.stop();
  follower = null;
  lockedUntil = answer.retryAt ?? Date.now() + UNKNOWN_LOCK_MS;
  setText('locked-until', dateText(lockedUntil));
  stopCountdown?.();
  stopCountdown = countdown($('locked-countdown'), lockedUntil, () => {
    lockedUntil = 0;
    showCodeError('');
    setState('loading');
    load();
  });
  if (setState('locked')) announce(explain(answer).text);
}

// ---- drawing --------------------------------------------------------------------------------------------------------

const SAID = {
  code: 'This gift asks for a security code',
  unpaid: 'The gift is not paid yet',
  open: 'The gift is open',
  failed: 'The payout did not go through',
  pending: 'The gift is being paid out',
  done: 'The gift has been redeemed',
  expired: 'The gift has expired',
  returned: 'The gift went back to the sender',
};

/// Which of the page's states belongs to what the API told.
function pageState(told) {
  const state = stateOf(told);
  if (state === 'redeemed') return 'done';
  if (state === 'returning') return 'returned';
  if (state === 'lapsed') return 'unpaid';
  if (state !== 'open') return state;
  if (told.verifyCodeRequired) return 'code';
  return payoutError(told) ? 'failed' : 'open';
}

function draw(told) {
  gift = told;
  $('stale').hidden = true;
  const state = pageState(told);
  if (lockedUntil > Date.now() && state === 'code') return;
  for (const place of document.querySelectorAll('[data-fill="amount"]')) setText(place, sat(told.amount));
  // Before the code is known the answer says nothing about the sender.
  setWords('headline', ...(told.verifyCodeRequired || !told.senderName ? ['A Bitcoin gift'] : ['A gift from ', theirs(told.senderName), ', to you']));
  setText('message', told.senderMessage || '');
  $('message').hidden = !told.senderMessage;
  setText('failure-text', withFullStop(payoutError(told)));
  if (told.lnurl) showPayable({ link: 'lnurl-link', open: 'lnurl-open', image: 'lnurl-qr', field: 'lnurl-text' }, told.lnurl);
  drawExpiry(told);
  if (state === 'unpaid') {
    const lapsed = told.chargeStatus === 'expired';
    setText('unpaid-title', lapsed ? 'Never paid' : 'Not paid yet');
    setText('unpaid-text', lapsed
      ? 'The invoice of this gift expired before it was paid, so there is nothing inside. Ask the sender for a new one.'
      : 'The sender has not paid for this gift yet. Leave the page open: the gift appears here as soon as it is paid.');
    $('unpaid-status').hidden = lapsed;
  }
  if (state === 'done') {
    setText('done-text', redeemedHere ? `${sat(told.amount)} sat are in your wallet. Enjoy!` : '');
  }
  if (setState(state)) announce(SAID[state] ?? '');
  document.title = document.querySelector(`[data-when~="${state}"] h1`)?.textContent ?? 'A Bitcoin gift for you';
  if (isFinal(stateOf(told))) follower?.stop();
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

function drawExpiry(told) {
  clearTimeout(expiryTimer);
  const until = timeOf(told.expiresAt);
  $('expires-note').hidden = until === null;
  if (until === null) return;
  for (const id of ['expires-at', 'expired-at']) {
    setText(id, dateText(until));
    $(id).dateTime = new Date(until).toISOString();
  }
  const left = until - Date.now();
  if (left > 0 && left < LONGEST_TIMER_MS) expiryTimer = setTimeout(() => draw(gift), left + 1);
}

function withFullStop(text) {
  return !text || /[.!?]$/.test(text) ? text : `${text}.`;
}

// ---- the code -------------------------------------------------------------------------------------------------------

function showCodeError(text) {
  setText('code-error', text);
  if (text) $('code').setAttribute('aria-invalid', 'true');
  else $('code').removeAttribute('aria-invalid');
}

function wrongCode(answer) {
  const left = answer.data?.attemptsLeft;
  return Number.isInteger(left) ? `That code is not right. ${left} more tries.` : 'That code is not right.';
}

$('code-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const typed = $('code').value.trim();
  if (!/^\d{4}$/.test(typed)) {
    showCodeError('A code has exactly 4 digits.');
    $('code').focus();
    return;
  }
  const done = busy($('code-button'), 'Opening…');
  if (!done) return;
  const answer = await ask(typed);
  done();
  if (!answer.ok) {
    if (answer.code === 'VERIFY_CODE_LOCKED' || answer.status === 404) return trouble(answer);
    return showCodeError(explain(answer).text);
  }
  if (answer.data.verifyCodeRequired) {
    showCodeError(wrongCode(answer));
    $('code').select();
    return draw(answer.data);
  }
  showCodeError('');
  keepCode(typed);
  draw(answer.data);
  follow();
});

$('code').addEventListener('input', () => showCodeError(''));

// ---- the invoice ----------------------------------------------------------------------------------------------------

function showInvoiceError(text) {
  setText('invoice-error', text);
  if (text) $('invoice').setAttribute('aria-invalid', 'true');
  else $('invoice').removeAttribute('aria-invalid');
}

$('redeem-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const invoice = $('invoice').value.trim();
  if (!invoice) {
    showInvoiceError('Paste a Lightning invoice first. A lightning address or an offer will do too.');
    $('invoice').focus();
    return;
  }
  showInvoiceError('');
  const done = busy($('redeem-button'), 'Sending…');
  if (!done) return;
  const answer = await api(`/redeem/${encodeURIComponent(orderId)}`, code ? { invoice, verifyCode: code } : { invoice });
  if (answer.ok) {
    redeemedHere = true;
    if (gift?.withdrawalInfo) delete gift.withdrawalInfo.error;
    await follower?.refresh();
  }
  done();
  if (answer.ok) return;
  if (answer.code === 'VERIFY_CODE_LOCKED') return lock(answer);
  showInvoiceError(explain(answer, { amount: gift?.amount }).text);
  if (answer.code === 'BAD_VERIFY_CODE') {
    keepCode(null);
    return load();
  }
  // The gift is not what this page believed: look again.
  if (['GIFT_SPENT', 'GIFT_REDEEM_PENDING', 'GIFT_INVOICE_UNPAID', 'GIFT_EXPIRED'].includes(answer.code)) follower?.refresh();
  if ($('invoice').offsetParent) $('invoice').focus();
});

$('invoice').addEventListener('input', () => showInvoiceError(''));

if (navigator.clipboard?.readText) {
  $('paste-button').hidden = false;
  $('paste-button').addEventListener('click', async () => {
    const text = await navigator.clipboard.readText().catch(() => '');
    if (text) $('invoice').value = text.trim();
    $('invoice').focus();
  });
}

load();
