// An order's page: to pay, to say where it goes, to follow it, to get the money back. Its token is in the fragment.

import {
  $, announce, api, base, busy, countdown, element, main, markField, mendsErrors, sat, setState, setText, showErrors,
  showPayable, theirs, timeOf,
} from './common.js';
import { explain } from './errors.js';
import { money } from './money.js';

const { slug, orderId } = main.dataset;
const path = `/api/shopify/${slug}`;
const given = new URLSearchParams(location.hash.slice(1));
const PAYING_MS = 2000;
const WAITING_MS = 15000;

let claimToken = given.get('claim');
const statusToken = given.get('status');
let stopCountdown = null;
let timer = 0;
let known = null;

async function load() {
  clearTimeout(timer);
  const token = claimToken ? `claimToken=${encodeURIComponent(claimToken)}` : `statusToken=${encodeURIComponent(statusToken ?? '')}`;
  const answer = await api(`${path}/orders/${orderId}?${token}`);
  if (answer.ok) draw(answer.data, answer.skew);
  else if (answer.status === 404) return setState('not_found');
  else if (!known) {
    setText('trouble-text', explain(answer).text);
    setState('trouble');
  }
  if (known?.status === 'Refunded') return;
  const wait = known?.status === 'AwaitingPayment' || known?.status === 'Refunding' ? PAYING_MS : WAITING_MS;
  timer = setTimeout(load, Math.max(wait, (answer.retryAt ?? 0) - Date.now()));
}

function draw(order, skew) {
  const before = known?.status;
  known = order;
  if (order.claimToken && order.claimToken !== claimToken) {
    // From now on the page's address is the way back to the order.
    claimToken = order.claimToken;
    history.replaceState(null, '', `#claim=${claimToken}`);
  }
  const { bill } = order;
  setText('headline', order.shopifyOrderNumber ? `Order ${order.shopifyOrderNumber}` : 'Your order');
  setText('price', money(bill.total, bill.currency));
  setText('sats', bill.currency === 'sats' ? '' : `${sat(order.totalSats)} sat`);
  for (const node of main.querySelectorAll('[data-message]')) setText(node, order.message);
  $('items').replaceChildren(...order.items.map((item) => {
    const name = item.variantTitle === 'Default Title' ? item.productTitle : `${item.productTitle} (${item.variantTitle})`;
    return element('li', {}, element('span', {}, `${item.quantity} × `, theirs(name)), element('span', {}, money(item.price * item.quantity, bill.currency)));
  }));
  const parts = [['shipping', bill.shipping], ['tax', bill.tax]].filter(([, amount]) => amount > 0);
  setText('bill', parts.map(([name, amount]) => `${name} ${money(amount, bill.currency)}`).join(', '));
  $('back').href = `${base}/store/${slug}`;
  const until = timeOf(order.expiresAt) + skew;
  const over = order.status === 'AwaitingPayment' && until <= Date.now();
  if (order.status === 'AwaitingPayment' && !over) {
    showPayable({ link: 'pay-link', image: 'pay-qr', open: 'pay-open', field: 'invoice-text' }, order.invoice);
    stopCountdown ??= countdown($('countdown'), until, load);
  }
  if (order.status === 'Shipped') drawTracking(order);
  if (order.refund) setText('refund-sats', sat(order.refund.amountSats));
  if (order.refund?.failureReason) warn('refund-problem', 'It did not arrive. Give another invoice.');
  if (setState(over ? 'over' : order.status)) announce(order.message);
  if (before === 'AwaitingPayment' && order.status !== before) {
    try {
      localStorage.removeItem(`cart:${slug}`);
    } catch {
      // A browser that keeps nothing.
    }
  }
}

function drawTracking(order) {
  const parts = [order.trackingCarrier, order.trackingNumber].filter(Boolean);
  setText('tracking', parts.join(' ') || order.message);
  let url = null;
  try {
    url = new URL(order.trackingUrl);
  } catch {
    // There is none.
  }
  const web = url && (url.protocol === 'https:' || url.protocol === 'http:');
  $('track').hidden = !web;
  if (web) $('track').href = url.href;
}

function warn(id, text) {
  setText(id, text);
  $(id).hidden = !text;
}

const claimForm = $('claim');
const claimFields = Object.fromEntries([...claimForm.querySelectorAll('input')].map((input) => [input.name, input]));
const NEEDED = {
  email: 'Enter your e-mail address.',
  firstName: 'Enter your first name.',
  lastName: 'Enter your last name.',
  address1: 'Enter your address.',
  city: 'Enter your city.',
  country: 'Enter the country’s code of two letters, like US.',
};
const WRONG = {
  email: 'Enter an e-mail address, like name@example.com.',
  country: NEEDED.country,
};

/// What is wrong with the form, field by field, as far as it can be told here.
function missing() {
  const errors = {};
  for (const [name, input] of Object.entries(claimFields)) {
    const text = input.value.trim();
    if (!text && NEEDED[name]) errors[name] = NEEDED[name];
    else if (name === 'email' && !/^[^\s@]+@[^\s@]+$/.test(text)) errors[name] = WRONG.email;
  }
  return errors;
}

/// What the API says is wrong, field by field.
function claimErrors(told) {
  const found = (Array.isArray(told) ? told : []).filter(({ field }) => Object.hasOwn(claimFields, field ?? ''));
  return Object.fromEntries(found.map(({ field, message }) => [field, WRONG[field] ?? String(message ?? '')]));
}

claimForm.addEventListener('submit', async (event) => {
  event.preventDefault();
  const errors = missing();
  if (showErrors(claimForm, claimFields, errors)) return;
  const done = busy(event.submitter, 'Sending');
  if (!done) return;
  warn('claim-problem', '');
  const { email, ...shippingAddress } = Object.fromEntries(new FormData(event.target));
  const answer = await api(`${path}/claim`, { claimToken, email, shippingAddress });
  done();
  if (answer.ok || answer.data?.code === 'ALREADY_CLAIMED') return load();
  const told = claimErrors(answer.data?.errors);
  showErrors(claimForm, claimFields, told);
  if (Object.keys(told).length === 0) warn('claim-problem', answer.data?.message ?? explain(answer).text);
});
mendsErrors(claimForm);

const refundField = $('refund').elements.invoice;
$('refund').addEventListener('submit', async (event) => {
  event.preventDefault();
  const invoice = refundField.value.trim();
  warn('refund-problem', invoice ? '' : 'Paste a Lightning invoice first.');
  markField(refundField, !invoice);
  if (!invoice) return refundField.focus();
  const done = busy(event.submitter, 'Sending');
  if (!done) return;
  const answer = await api(`${path}/orders/${orderId}/refund`, { claimToken, invoice });
  done();
  markField(refundField, !answer.ok);
  if (!answer.ok) return warn('refund-problem', answer.data?.message ?? explain(answer).text);
  load();
});

load();
