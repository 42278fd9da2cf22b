// "Your gifts": the list of what this browser made, with where each gift stands.

import { $, api, dateText, element, giftUrl, localPath, manageUrl, sat, theirs } from './common.js';
import { STATE_TEXT, isBatch, isSettled, statusFor } from './gift.js';
import { allGifts, forgetGift, updateGift } from './store.js';

// A visit must not use up the reads that the limits allow.
const MOST_CHECKED = 12;
const DAY_MS = 86400000;

let shown = '';
let forgetting = null;

/// Draws the list. `open(gift)` shows one of them on this page.
export function drawList(open) {
  const gifts = allGifts();
  $('yours').hidden = gifts.length === 0;
  const now = JSON.stringify([gifts.map((gift) => [gift.orderId, gift.status]), forgetting]);
  if (now === shown) return;
  shown = now;
  const focused = document.activeElement?.id;
  $('gifts-list').replaceChildren(...gifts.map((gift) => entry(gift, open)));
  if (focused && document.activeElement === document.body) $(focused)?.focus();
}

function entry(gift, open) {
  const many = isBatch(gift) ? `${gift.gifts.length} × ` : '';
  const state = gift.status;
  const head = element('p', { class: 'gift-head' },
    element('strong', {}, `${many}${sat(gift.amount)} sat`),
    element('span', { class: `badge ${state}` }, many && state === 'open' ? 'Paid' : STATE_TEXT[state] ?? state));
  const words = [dateText(gift.createdAt), ...(gift.senderMessage ? [' · ', theirs(gift.senderMessage)] : [])];
  const actions = element('p', { class: 'actions' });
  const name = `${many}${sat(gift.amount)} sat of ${dateText(gift.createdAt)}`;
  const action = (id, text, run) => {
    const button = element('button', { type: 'button', class: 'link', id: `${id}-${gift.orderId}`, 'aria-label': `${text}: ${name}` }, text);
    button.addEventListener('click', run);
    actions.append(button);
  };
  action('open', state === 'unpaid' ? 'Pay' : 'Show', () => open(gift));
  if (!many && state !== 'unpaid' && state !== 'lapsed') {
    actions.append(element('a', { href: localPath(giftUrl(gift.orderId)), 'aria-label': `Gift page: ${name}` }, 'Gift page'));
  }
  if (gift.manageKey && !many) {
    actions.append(element('a', { href: localPath(manageUrl(gift.orderId, gift.manageKey)), 'aria-label': `Manage: ${name}` }, 'Manage'));
  }
  const asked = forgetting === gift.orderId;
  action('forget', asked ? 'Really forget it?' : 'Forget', () => {
    forgetting = asked ? null : gift.orderId;
    if (asked) forgetGift(gift.orderId);
    drawList(open);
  });
  return element('li', { 'data-order-id': gift.orderId, 'data-status': state }, head, element('p', { class: 'hint' }, ...words), actions);
}

/// Asks where the unfinished ones stand, newest first.
export async function refreshList(open, except) {
  const gifts = allGifts().filter((gift) => gift.orderId !== except && !isSettled(gift)
    && !(gift.status === 'lapsed' && Date.now() - gift.createdAt > DAY_MS));
  for (const gift of gifts.slice(0, MOST_CHECKED)) {
    const code = gift.verifyCode ? `?verifyCode=${encodeURIComponent(gift.verifyCode)}` : '';
    const answer = await api(`/gift/${encodeURIComponent(gift.orderId)}${code}`);
    if (answer.code === 'VERIFY_CODE_LOCKED') continue;
    if (answer.status === 429 || answer.status === 0) return;
    if (answer.ok && updateGift(gift.orderId, { status: statusFor(gift, answer.data) })) drawList(open);
  }
}
