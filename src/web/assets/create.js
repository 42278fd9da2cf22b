// The page that makes a gift: form, invoice, paid.

import {
  $, announce, api, base, busy, countdown, dateText, giftUrl, localPath, main, manageUrl, mendsErrors, sat, setState, setText,
  showErrors, showPayable, showQr, siteName, timeOf,
} from './common.js';
import { explain } from './errors.js';
import { STATE_TEXT, isBatch, isSettled, statusFor } from './gift.js';
import { Follower } from './live.js';
import { addGift, awaitedId, findGift, isLasting, onChange, setAwaited, updateGift } from './store.js';
import { drawList, refreshList } from './yours.js';

const limits = {
  min: Number(main.dataset.min),
  max: Number(main.dataset.max),
  maxQuantity: Number(main.dataset.maxQuantity),
};
const USUAL_AMOUNTS = [1000, 5000, 21000, 100000];
const DAY_S = 86400;
const TITLE = document.title;

const form = $('create-form');
const inputs = {
  amount: $('amount'), senderName: $('sender-name'), senderMessage: $('sender-message'), verifyCode: $('verify-code'),
  expiresAt: $('expiry'), refundAddress: $('refund-address'), quantity: $('quantity'),
};

let shown = null;
let follower = null;
let stopCountdown = null;
let attempt = { body: '', key: '' };

// ---- form -----------------------------------------------------------------------------------------------------------

/// A number as people type it: separators between groups of three do not change it. What is no number stays NaN.
function typedNumber(text) {
  const plain = text.trim().replace(/(?<=\d)[ \u00a0\u202f,'’_.](?=\d{3}(?!\d))/g, '');
  return plain === '' ? NaN : Number(plain);
}

/// What a gift of this amount costs besides, as the site reckons it.
function feeOf(amount) {
  const { feeMin, feePercent } = $('main').dataset;
  if (feeMin === undefined) return 0;
  const share = (of) => Math.max(Number(feeMin), Math.ceil((of * Number(feePercent)) / 100));
  return share(amount + share(amount));
}

function totals() {
  const [amount, quantity] = [typedNumber(inputs.amount.value), typedNumber(inputs.quantity.value)];
  const many = Number.isInteger(amount) && Number.isInteger(quantity) && quantity > 1;
  const fee = Number.isInteger(amount) ? feeOf(amount) : 0;
  const besides = fee > 0 ? ` and a fee of ${sat(fee)} sat` : '';
  if (many) {
    const total = (amount + fee) * quantity;
    const each = fee > 0 ? `${besides} each` : '';
    setText('create-total', `${sat(quantity)} gifts of ${sat(amount)} sat${each}: an invoice of ${sat(total)} sat comes next.`);
  } else {
    setText('create-total', fee > 0
      ? `A Lightning invoice of ${sat(amount + fee)} sat comes next, ${sat(fee)} sat of it a fee.`
      : 'A Lightning invoice comes next.');
  }
}

function counters() {
  for (const counter of document.querySelectorAll('[data-counts]')) {
    const input = $(counter.dataset.counts);
    setText(counter, `${input.value.length}/${input.maxLength}`);
  }
}

function expiryDateShown() {
  $('expiry-date').hidden = inputs.expiresAt.value !== 'date';
}

/// Shows errors beside their fields, all at once; without any takes them all away.
function showWrong(errors = {}) {
  showErrors(form, inputs, errors);
}

/// The body for `POST /create`, or null if fields are wrong in ways that we can tell at once: all of them are marked.
function readForm() {
  const errors = {};
  const fail = (field, code) => {
    errors[field] ??= explain({ code, status: 400 }, limits).text;
  };
  const body = { amount: typedNumber(inputs.amount.value) };
  if (!Number.isInteger(body.amount)) fail('amount', 'GIFT_AMOUNT_NOT_WHOLE_NUMBER');
  else if (body.amount < limits.min) fail('amount', 'GIFT_AMOUNT_UNDER_100');
  else if (body.amount > limits.max) fail('amount', 'GIFT_AMOUNT_OVER_500K');
  for (const field of ['senderName', 'senderMessage', 'refundAddress', 'verifyCode']) {
    const text = inputs[field].value.trim();
    if (text) body[field] = text;
  }
  if (body.verifyCode && !/^\d+$/.test(body.verifyCode)) fail('verifyCode', 'VERIFY_CODE_NOT_NUMBER');
  else if (body.verifyCode && body.verifyCode.length !== 4) fail('verifyCode', 'VERIFY_CODE_BAD_LENGTH');
  // What the address is exactly the API reads; what is neither an address nor an LNURL is wrong at once.
  if (body.refundAddress && !/@[^\s@]*[^\s@.]$|lnurl/i.test(body.refundAddress)) fail('refundAddress', 'REFUND_ADDRESS');
  const choice = inputs.expiresAt.value;
  if (choice === 'date') {
    const time = new Date($('expiry-date').value).getTime();
    if (!Number.isFinite(time) || time <= Date.now()) fail('expiresAt', 'EXPIRES_AT');
    body.expiresAt = Math.floor(time / 1000);
  } else if (choice) {
    body.expiresAt = Math.floor(Date.now() / 1000) + Number(choice) * DAY_S;
  }
  const quantity = inputs.quantity.value.trim() === '' ? 1 : typedNumber(inputs.quantity.value);
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > limits.maxQuantity) fail('quantity', 'QUANTITY');
  if (quantity > 1) body.quantity = quantity;
  showWrong(errors);
  return Object.keys(errors).length === 0 ? body : null;
}

/// One key for one wish: if the answer was lost, asking again must not make a second gift.
function idempotencyKey(body) {
  const text = JSON.stringify({ ...body, expiresAt: inputs.expiresAt.value });
  if (attempt.body !== text) {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    attempt = { body: text, sent: body, key: [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('') };
  }
  return attempt;
}

async function submit() {
  const body = readForm();
  if (!body) return;
  const done = busy($('create-button'), 'Asking for an invoice…');
  if (!done) return;
  const { key, sent } = idempotencyKey(body);
  const answer = await api('/create', sent, { 'Idempotency-Key': key });
  done();
  if (answer.status > 0 && answer.status < 500 && answer.status !== 409) attempt = { body: '', key: '' };
  if (!answer.ok || !answer.data.orderId) {
    const { field, text } = explain(answer, limits);
    return showWrong({ [inputs[field] ? field : 'form']: text });
  }
  const gift = remember(answer, sent);
  show(gift);
}

/// Keeps what the API answered, before anything is shown.
function remember({ data, skew }, body) {
  const expiresAt = timeOf(data.lightningInvoice?.expires_at ?? data.lightning_invoice?.expires_at);
  const gift = {
    orderId: data.orderId,
    amount: data.amount,
    fee: data.fee ?? 0,
    invoice: data.lightningInvoice?.payreq ?? data.lightning_invoice?.payreq,
    invoiceExpiresAt: expiresAt === null ? null : expiresAt + skew,
    createdAt: Date.now(),
    lnurl: data.lnurl,
    manageKey: data.manageKey ?? null,
    verifyCode: body.verifyCode ?? null,
    senderName: body.senderName ?? null,
    senderMessage: body.senderMessage ?? null,
    expiresAt: body.expiresAt ?? null,
    gifts: (data.gifts ?? []).map((one) => (typeof one === 'string' ? { orderId: one } : {
      orderId: one.orderId ?? one.id, lnurl: one.lnurl, manageKey: one.manageKey,
    })),
    form: Object.fromEntries([...Object.entries(inputs).map(([name, input]) => [name, input.value]), ['date', $('expiry-date').value]]),
    status: 'unpaid',
  };
  addGift(gift);
  return gift;
}

// ---- one gift -------------------------------------------------------------------------------------------------------

function leave() {
  follower?.stop();
  follower = null;
  stopCountdown?.();
  stopCountdown = null;
}

function show(gift) {
  leave();
  shown = gift;
  // In the fragment it survives a reload and is never sent.
  history.replaceState(null, '', `#${gift.orderId}`);
  setAwaited(gift.status === 'unpaid' ? gift.orderId : null);
  $('storage-note').hidden = isLasting();
  draw(gift);
  drawList(show);
  if (isSettled(gift)) return;
  follower = new Follower(gift.orderId, {
    // Who knows the code is told more.
    code: gift.verifyCode,
    onGift: (state) => {
      setText('invoice-status-text', state.chargeStatus === 'processing' ? 'The payment is on its way' : 'Waiting for the payment');
      const status = statusFor(gift, state);
      // Our own countdown may have ended a moment before the server's.
      if (status === 'unpaid' && gift.status === 'lapsed') return;
      const changed = gift.status !== status;
      gift.status = status;
      if (status !== 'unpaid' && awaitedId() === gift.orderId) setAwaited(null);
      updateGift(gift.orderId, { status });
      if (changed) draw(gift);
      drawList(show);
      if (isSettled(gift)) follower?.stop();
    },
    onTrouble: (answer) => setText('invoice-status-text', answer.status === 404
      ? 'This site no longer knows the gift'
      : 'The connection is interrupted; trying again'),
  });
}

function draw(gift) {
  if (gift.status === 'unpaid' && gift.invoiceExpiresAt !== null && gift.invoiceExpiresAt <= Date.now()) lapse(gift);
  if (gift.status === 'unpaid') return drawInvoice(gift);
  stopCountdown?.();
  stopCountdown = null;
  if (gift.status === 'lapsed') {
    document.title = TITLE;
    if (setState('expired')) announce('The invoice has expired');
    return;
  }
  drawPaid(gift);
}

function lapse(gift) {
  gift.status = 'lapsed';
  updateGift(gift.orderId, { status: 'lapsed' });
}

function drawInvoice(gift) {
  const count = isBatch(gift) ? gift.gifts.length : 1;
  const fee = gift.fee ?? 0;
  const total = (gift.amount + fee) * count;
  setText('invoice-amount', sat(total));
  const besides = fee > 0 ? ` and a fee of ${sat(fee)} sat${count > 1 ? ' each' : ''}` : '';
  const what = count > 1 ? `for ${count} gifts of ${sat(gift.amount)} sat` : `for a gift of ${sat(gift.amount)} sat`;
  setText('invoice-for', count > 1 || fee > 0 ? what + besides : '');
  showPayable({ link: 'invoice-link', open: 'invoice-open', image: 'invoice-qr', field: 'invoice-text' }, gift.invoice);
  $('invoice-countdown').closest('p').hidden = gift.invoiceExpiresAt === null;
  stopCountdown?.();
  stopCountdown = gift.invoiceExpiresAt === null ? null : countdown($('invoice-countdown'), gift.invoiceExpiresAt, () => {
    lapse(gift);
    draw(gift);
    drawList(show);
  });
  document.title = `${sat(total)} sat · ${siteName}`;
  if (setState('invoice')) announce('The invoice is ready to be paid');
}

function drawPaid(gift) {
  const batch = isBatch(gift);
  $('paid-single').hidden = batch;
  $('paid-batch').hidden = !batch;
  setText('paid-title', batch ? `Your ${gift.gifts.length} gifts are ready` : gift.status === 'open' ? 'Your gift is ready' : 'Your gift');
  const until = timeOf(gift.expiresAt);
  setText('paid-summary', [
    batch ? `${sat(gift.amount)} sat each` : `${sat(gift.amount)} sat`,
    batch ? null : (STATE_TEXT[gift.status] ?? '').toLowerCase(),
    until === null ? null : `until ${dateText(until)}`,
  ].filter(Boolean).join(' · '));
  for (const [note, digits] of [['share-code', 'share-code-digits'], ['batch-code', 'batch-code-digits']]) {
    $(note).hidden = !gift.verifyCode;
    setText(digits, gift.verifyCode ?? '');
  }
  if (batch) drawBatch(gift);
  else drawShare(gift);
  // Each gift of a batch has a link of its own; they stand in the file.
  $('paid-manage').hidden = batch || !gift.manageKey;
  if (gift.manageKey) {
    const url = manageUrl(gift.orderId, gift.manageKey);
    $('manage-link').value = url;
    $('manage-open').href = localPath(url);
  }
  document.title = `Paid · ${siteName}`;
  if (setState('paid')) announce(batch ? 'Paid. Your gifts are ready.' : 'Paid. Your gift is ready.');
}

function drawShare(gift) {
  const url = giftUrl(gift.orderId);
  // The LNURL of a gift with a code opens it without asking; what is shared must not.
  const shared = gift.verifyCode || !gift.lnurl ? url : `${url}?lightning=${gift.lnurl.toUpperCase()}`;
  showQr($('share-qr'), shared);
  $('share-qr-download').href = `${base}/qr.svg?text=${encodeURIComponent(shared)}`;
  $('share-link').value = url;
  $('gift-link').href = localPath(url);
  $('share-button').hidden = !navigator.share;
  $('share-button').onclick = () => navigator.share({ title: 'A Bitcoin gift for you', url }).catch(() => {});
}

function drawBatch(gift) {
  $('batch-links').value = gift.gifts.map((one) => giftUrl(one.orderId)).join('\n');
  const cell = (text) => `"${String(text ?? '').replaceAll('"', '""')}"`;
  const rows = gift.gifts.map((one, index) => [
    index + 1, gift.amount, giftUrl(one.orderId), gift.verifyCode ? '' : one.lnurl, one.manageKey ? manageUrl(one.orderId, one.manageKey) : '',
  ]);
  const csv = [['number', 'amount_sat', 'link', 'lnurl', 'manage_link'], ...rows].map((row) => row.map(cell).join(',')).join('\r\n');
  const link = $('batch-csv');
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([`${csv}\r\n`], { type: 'text/csv' }));
}

function startOver() {
  leave();
  shown = null;
  setAwaited(null);
  history.replaceState(null, '', location.pathname);
  document.title = TITLE;
  setState('form');
  drawList(show);
}

function fillForm(values) {
  for (const [name, input] of Object.entries(inputs)) if (values[name] !== undefined) input.value = values[name];
  $('expiry-date').value = values.date ?? '';
  refreshForm();
}

function refreshForm() {
  counters();
  totals();
  expiryDateShown();
}

// ---- wiring ---------------------------------------------------------------------------------------------------------

function wireTabs() {
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  const choose = (chosen) => {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.setAttribute('aria-selected', String(on));
      tab.tabIndex = on ? 0 : -1;
      $(tab.getAttribute('aria-controls')).hidden = !on;
    }
  };
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener('click', () => choose(tab));
    tab.addEventListener('keydown', (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = tabs[(index + step + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    });
  }
}

function wireAmounts() {
  for (const amount of USUAL_AMOUNTS.filter((usual) => usual >= limits.min && usual <= limits.max)) {
    const chip = document.createElement('button');
    chip.type = 'button';
    chip.textContent = sat(amount);
    chip.addEventListener('click', () => {
      inputs.amount.value = String(amount);
      refreshForm();
    });
    $('amount-chips').append(chip);
  }
  setText('amount-hint', `From ${sat(limits.min)} to ${sat(limits.max)} sat.`);
}

wireTabs();
wireAmounts();
refreshForm();
mendsErrors(form);
form.addEventListener('input', refreshForm);
form.addEventListener('submit', (event) => {
  event.preventDefault();
  submit();
});
main.addEventListener('click', (event) => {
  const action = event.target.closest?.('[data-action]')?.dataset.action;
  if (!action) return;
  const gift = shown;
  startOver();
  if (action === 'new' || !gift) {
    form.reset();
    showWrong();
    return refreshForm();
  }
  fillForm(gift.form);
  if (action === 'again') submit();
});
onChange(() => drawList(show));
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refreshList(show, shown?.orderId);
});

const remembered = findGift(location.hash.slice(1)) ?? findGift(awaitedId());
if (remembered) show(remembered);
else setState('form');
$('storage-note').hidden = isLasting();
drawList(show);
refreshList(show, shown?.orderId);
