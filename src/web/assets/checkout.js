// The page on which a shop's customer pays.

import {
  $, announce, api, countdown, main, sat, setState, setText, showQr, timeOf,
} from './common.js';
import { explain } from './errors.js';
import { Watcher } from './live.js';

const path = `/checkout/${main.dataset.invoiceId}`;
const RETRY_MS = 5000;
const SLOWEST_RETRY_MS = 60000;
// Time to see that it worked before the shop's own page comes.
const GO_BACK_MS = 4000;
const LONGEST_HEADING = 60;

let payment = null;
let watcher = null;
let shownUntil = null;
let stopCountdown = null;
let skew = 0;
let retryTimer = 0;
let retryDelay = RETRY_MS;

// ---- fetching -------------------------------------------------------------------------------------------------------

async function load() {
  clearTimeout(retryTimer);
  const answer = await api(`${path}/status`);
  if (!answer.ok) return trouble(answer);
  ({ skew } = answer);
  draw(answer.data);
  if (!isFinal(answer.data.status)) {
    watcher = new Watcher({ path: `${path}/status`, stream: `${path}/live`, onNews: draw, onTrouble: trouble });
  }
}

/// What is expired may still be paid late.
function isFinal(status) {
  return status === 'paid' || status === 'refunded';
}

function trouble(answer) {
  if (answer.status === 404) {
    watcher?.stop();
    setState('not_found');
    $('back').hidden = $('stale').hidden = true;
    announce('There is no such payment');
    return;
  }
  const { text } = explain(answer);
  if (payment) {
    setText('stale', `${text} What you see may be old.`);
    $('stale').hidden = false;
    return;
  }
  setText('trouble-text', text);
  setState('trouble');
  const wait = Math.max(retryDelay, (answer.retryAt ?? 0) - Date.now());
  retryDelay = Math.min(retryDelay * 2, SLOWEST_RETRY_MS);
  retryTimer = setTimeout(load, wait);
}

// ---- drawing --------------------------------------------------------------------------------------------------------

const SAID = {
  unpaid: 'Waiting for your payment',
  processing: 'Your payment is here and is being confirmed',
  paid: 'Paid. Thank you!',
  refunded: 'This payment was refunded',
  expired: 'The time to pay is over',
};

function draw(told) {
  const before = payment?.status;
  payment = told;
  $('stale').hidden = true;
  const until = timeOf(told.expiresAt) + skew;
  const over = told.status === 'unpaid' && until <= Date.now();
  const state = over ? 'expired' : told.status;
  drawWords(told.description);
  drawPrice(told);
  if (state === 'unpaid') {
    const invoice = told.lightningInvoice;
    showQr($('pay-qr'), told.paymentUri);
    for (const id of ['pay-link', 'pay-open']) $(id).href = `lightning:${invoice.toUpperCase()}`;
    $('invoice-text').value = invoice;
  }
  drawCountdown(state === 'unpaid' ? until : null);
  drawWays(told, state, before);
  if (setState(state)) announce(SAID[state] ?? '');
  document.title = state === 'paid' ? 'Paid' : `Pay ${$('price').textContent}`;
  if (isFinal(told.status)) watcher?.stop();
}

/// A few words are the heading; more stand below one.
function drawWords(description) {
  const long = Boolean(description) && description.length > LONGEST_HEADING;
  setText('headline', description && !long ? description : 'Your payment');
  $('description').hidden = !long;
  setText('description', long ? description : '');
}

/// The price in big letters as the shop wrote it, and in sat below if that is something else.
function drawPrice(told) {
  const inSat = `${sat(told.amountSats)} sat`;
  const inBitcoin = told.currency === 'sats' || told.currency === 'BTC';
  setText('price', inBitcoin ? inSat : money(told.amount, told.currency));
  $('sats').hidden = inBitcoin;
  setText('sats', inBitcoin ? '' : inSat);
  const received = told.amountReceivedSats;
  const differs = received !== undefined && received !== told.amountSats;
  $('received').hidden = !differs;
  if (differs) setText('received', `${sat(received)} sat were received.`);
}

function money(amount, currency) {
  try {
    return new Intl.NumberFormat(undefined, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' }).format(amount);
  } catch {
    return `${amount} ${currency}`;
  }
}

function drawCountdown(until) {
  if (until === shownUntil) return;
  shownUntil = until;
  stopCountdown?.();
  stopCountdown = until === null ? null : countdown($('countdown'), until, () => draw(payment));
}

/// The way back to the shop: by itself only for who has seen the payment arrive here.
function drawWays(told, state, before) {
  const success = webAddress(told.successUrl);
  const cancel = webAddress(told.cancelUrl);
  $('back').hidden = !cancel || told.status === 'processing';
  if (cancel) {
    $('cancel').href = cancel;
    setText('cancel', state === 'unpaid' ? 'Back to the shop without paying' : 'Back to the shop');
  }
  $('success').hidden = !success;
  $('no-way-back').hidden = Boolean(success);
  if (!success) return;
  $('success').href = success;
  if (told.status === 'paid' && before && before !== 'paid') {
    $('going').hidden = false;
    setTimeout(() => location.assign(success), GO_BACK_MS);
  }
}

function webAddress(text) {
  if (!text) return null;
  try {
    const url = new URL(text);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}

load();
