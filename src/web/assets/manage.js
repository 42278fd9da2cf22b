// The sender's page: where the gift stands, what happened to it, and taking it back.

import {
  $, announce, api, busy, dateText, element, giftUrl, localPath, main, sat, setState, setText, showPayable, timeOf,
} from './common.js';
import { explain } from './errors.js';
import { STATE_TEXT, isFinal, payoutError, stateOf } from './gift.js';
import { Follower } from './live.js';
import { updateGift } from './store.js';

const orderId = main.dataset.orderId;
const path = `/gift/${encodeURIComponent(orderId)}`;
const RETRY_MS = 5000;
const SLOWEST_RETRY_MS = 60000;

let key = readKey();
let gift = null;
let follower = null;
let seen = '';
let retryDelay = RETRY_MS;
let retryTimer = 0;

function readKey() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1);
  }
}

const STATE_WORDS = {
  unpaid: 'Pay the invoice to fill the gift.',
  lapsed: 'Its invoice expired before it was paid. There is nothing inside, and nothing was lost.',
  open: 'Paid, and nobody has redeemed it yet.',
  pending: 'Somebody is redeeming it: the payout is under way.',
  redeemed: 'The recipient has the sats.',
  expired: 'Its time has passed. The recipient can no longer redeem it; you can take it back.',
  returning: 'The sats are on their way back to you.',
  returned: 'The sats went back to you.',
};

const EVENT_TEXT = {
  created: 'Created',
  paid: 'Paid by you',
  claiming: 'Redemption started',
  payout_failed: 'Payout failed',
  redeemed: 'Redeemed',
  expired: 'Expired',
  returning: 'Return to you started',
  return_failed: 'Return to you failed',
  returned: 'Returned to you',
  locked: 'Locked after too many wrong codes',
};

async function load() {
  clearTimeout(retryTimer);
  if (!key) return setState('no_key');
  const answer = await api(`${path}/manage?key=${encodeURIComponent(key)}`);
  if (!answer.ok) return trouble(answer);
  retryDelay = RETRY_MS;
  draw(answer.data);
}

function trouble(answer) {
  // A wrong key is answered like a gift that does not exist.
  if (answer.status === 404) {
    follower?.stop();
    return setState('denied');
  }
  const { text } = explain(answer);
  if (gift) {
    setText('stale', `${text} What you see may be old.`);
    $('stale').hidden = false;
  } else {
    setText('trouble-text', text);
    setState('trouble');
  }
  const wait = Math.max(retryDelay, (answer.retryAt ?? 0) - Date.now());
  retryDelay = Math.min(retryDelay * 2, SLOWEST_RETRY_MS);
  retryTimer = setTimeout(load, wait);
}

/// The live stream tells anybody who has the link; what only the sender may see is fetched again after each change.
function follow() {
  if (follower || (gift && isFinal(stateOf(gift)))) return;
  follower = new Follower(orderId, {
    onGift: (told) => {
      const now = JSON.stringify([told.spent, told.chargeStatus, told.withdrawalInfo ?? null, stateOf(told)]);
      if (now === seen) return;
      const first = seen === '';
      seen = now;
      if (!first) load();
    },
  });
}

function draw(told) {
  gift = told;
  $('stale').hidden = true;
  const state = stateOf(told);
  setText('gift-amount', sat(told.amount));
  setText('refund-amount', sat(told.amount));
  setText('gift-state', STATE_TEXT[state]);
  $('gift-state').className = `badge ${state}`;
  setText('gift-state-text', STATE_WORDS[state]);
  drawFacts(told);
  $('share').hidden = !['open', 'pending', 'redeemed'].includes(state);
  $('share-link').value = giftUrl(orderId);
  $('gift-link').href = localPath(giftUrl(orderId));
  const invoice = told.chargeInfo?.chargeInvoice;
  $('pay').hidden = state !== 'unpaid' || !invoice;
  if (invoice) showPayable({ link: 'invoice-link', image: 'invoice-qr', field: 'invoice-text' }, invoice);
  $('refund').hidden = !['open', 'expired'].includes(state);
  drawHistory(told);
  updateGift(orderId, { status: state });
  if (setState(state === 'lapsed' ? 'unpaid' : state)) announce(`${STATE_TEXT[state]}. ${STATE_WORDS[state]}`);
  document.title = `${STATE_TEXT[state]} · ${sat(told.amount)} sat`;
  if (isFinal(state)) follower?.stop();
  else follow();
}

function drawFacts(told) {
  const until = timeOf(told.expiresAt);
  const facts = [
    ['From', told.senderName],
    ['Message', told.senderMessage],
    ['Security code', told.verifyCode === null || told.verifyCode === undefined ? null : String(told.verifyCode).padStart(4, '0')],
    ['Redeemable until', until === null ? null : dateText(until)],
    ['Then goes to', told.refundAddress],
    ['Last payout error', isFinal(stateOf(told)) ? null : payoutError(told)],
  ].filter(([, value]) => value);
  $('gift-facts').replaceChildren(...facts.flatMap(([name, value]) => [element('dt', {}, name), element('dd', { dir: 'auto' }, String(value))]));
}

function drawHistory(told) {
  const events = Array.isArray(told.history) ? told.history : [];
  const items = events.map((entry) => {
    const name = String(entry.event ?? '');
    const time = timeOf(entry.at);
    const words = EVENT_TEXT[name] ?? (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll('_', ' ');
    const { detail } = entry;
    return element('li', {}, element('strong', {}, words),
      ...(time === null ? [] : [' ', element('time', { datetime: new Date(time).toISOString() }, dateText(time))]),
      ...(detail ? [element('span', { class: 'detail', dir: 'auto' }, String(detail))] : []));
  });
  if (items.length === 0) {
    const time = timeOf(told.createdAt);
    items.push(element('li', {}, element('strong', {}, 'Created'), ...(time === null ? [] : [' ', element('time', {}, dateText(time))])));
  }
  $('history').replaceChildren(...items);
}

function showRefundError(text) {
  setText('refund-error', text);
  if (text) $('refund-invoice').setAttribute('aria-invalid', 'true');
  else $('refund-invoice').removeAttribute('aria-invalid');
}

$('refund-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const invoice = $('refund-invoice').value.trim();
  if (!invoice) {
    showRefundError('Paste a Lightning invoice first. A lightning address or an offer will do too.');
    $('refund-invoice').focus();
    return;
  }
  showRefundError('');
  const done = busy($('refund-button'), 'Sending…');
  if (!done) return;
  const answer = await api(`${path}/refund`, { key, invoice });
  done();
  if (!answer.ok) {
    showRefundError(explain(answer, { amount: gift?.amount }).text);
    $('refund-invoice').focus();
  }
  load();
});

$('refund-invoice').addEventListener('input', () => showRefundError(''));

window.addEventListener('hashchange', () => {
  key = readKey();
  load();
});

load();
