// The part of a claim page that pays out: a code for a wallet to scan, and a field for an invoice or an address.
//
// What is paid out is an order: `{flow, amount, tipId}`, amount in sat. A tippee's covers all that they have claimed.

import { $, busy, sat, setText, showPayable, timeOf } from './common.js';
import { ask, explain } from './tip.js';

// A code that is older may be gone; the API gives the same one again as long as it is young.
const LINK_LASTS_MS = 60 * 60 * 1000;
// So many are paid out at once, the largest first (contract, withdrawal).
const MOST_TIPS = 500;

/// The tips that this browser's user has claimed and can withdraw, largest first; null if that can't be told.
export async function claimedTips(now) {
  const answer = await ask('/api/tippee/tips?publicTip=true');
  if (!answer.ok || !Array.isArray(answer.data)) return null;
  const open = answer.data.filter((tip) => tip.status === 'CLAIMED' && !tip.withdrawalPending && timeOf(tip.expiry) > now);
  return open.sort((one, other) => other.amount - one.amount).slice(0, MOST_TIPS);
}

export function sumOf(tips) {
  return tips.reduce((sum, tip) => sum + tip.amount, 0);
}

let shownKey = '';
let shownAt = 0;
let order = null;
let findOrder = null;

/// Shows what pays out. `find()` gives the order, or null; it is asked again when `key` changes, or with `again`.
export async function showPayout(key, find, { again = false } = {}) {
  findOrder = find;
  if (!again && key === shownKey && Date.now() - shownAt < LINK_LASTS_MS) return;
  [shownKey, shownAt] = [key, Date.now()];
  showLink('loading');
  let answer = null;
  // What can be withdrawn may have changed between the two questions: then once more.
  for (let attempt = 0; attempt < 2 && (!answer || answer.status === 409); attempt += 1) {
    order = await find();
    if (shownKey !== key) return;
    if (!order) return showLink('failed', 'What can be withdrawn is not known. Try again.');
    for (const place of document.querySelectorAll('[data-fill="total"]')) setText(place, sat(order.amount));
    answer = await ask('/api/withdrawalLinks', order);
    if (shownKey !== key) return;
  }
  if (!answer.ok || typeof answer.data !== 'string') return showLink('failed', explain(answer));
  showPayable({ link: 'lnurl-link', open: 'lnurl-open', image: 'lnurl-qr', field: 'lnurl-text' }, answer.data);
  showLink('ready');
}

/// Forgets what is shown, so that the next call makes it anew.
export function forgetPayout() {
  shownKey = '';
}

function showLink(state, error = '') {
  for (const one of ['loading', 'ready', 'failed']) $(`link-${one}`).hidden = one !== state;
  setText('link-error', error);
}

$('link-again').addEventListener('click', () => showPayout(shownKey, findOrder, { again: true }));

// ---- the field ------------------------------------------------------------------------------------------------------

function showError(text) {
  setText('invoice-error', text);
  if (text) $('invoice').setAttribute('aria-invalid', 'true');
  else $('invoice').removeAttribute('aria-invalid');
}

/// Calls back with the answer to each destination that somebody gives, and waits for what comes of it.
export function onPaidOut(callback) {
  $('pay-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    // Apps hand out invoices as links.
    const invoice = $('invoice').value.trim().replace(/^lightning:/i, '');
    if (!invoice) {
      showError('Enter a lightning address, or paste an offer or an invoice.');
      return $('invoice').focus();
    }
    if (!order) return showError('Wait until the code beside this is there.');
    showError('');
    const done = busy($('pay-button'), 'Sending…');
    if (!done) return;
    const { flow, tipId } = order;
    const answer = await ask('/api/invoices', { invoice, flow, tipId });
    await callback(answer);
    done();
    if (answer.ok) return;
    showError(explain(answer));
    if ($('invoice').offsetParent) $('invoice').focus();
  });
}

let suggested = '';

/// Writes a known address into the field, once, unless there is something in it.
export function suggest(address) {
  if (!address || address === suggested) return;
  suggested = address;
  if (!$('invoice').value) $('invoice').value = address;
}

$('invoice').addEventListener('input', () => showError(''));

if (navigator.clipboard?.readText) {
  $('paste-button').hidden = false;
  $('paste-button').addEventListener('click', async () => {
    const text = await navigator.clipboard.readText().catch(() => '');
    if (text) $('invoice').value = text.trim();
    $('invoice').focus();
  });
}
