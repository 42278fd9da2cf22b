// A sentence for every error of the gifts API, and the field it belongs to.

import { dateText, sat } from './common.js';

const TABLE = {
  GIFT_AMOUNT_NOT_WHOLE_NUMBER: ['amount', 'Enter a whole number of sat.'],
  GIFT_AMOUNT_UNDER_100: ['amount', (limits) => `The smallest gift is ${sat(limits.min ?? 100)} sat.`],
  GIFT_AMOUNT_OVER_500K: ['amount', (limits) => `The largest gift is ${sat(limits.max ?? 500000)} sat.`],
  SENDER_NAME_NOT_STRING: ['senderName', 'The name must be text.'],
  SENDER_NAME_BAD_LENGTH: ['senderName', 'A name has at most 15 characters.'],
  SENDER_MESSAGE_NOT_STRING: ['senderMessage', 'The message must be text.'],
  SENDER_MESSAGE_BAD_LENGTH: ['senderMessage', 'A message has at most 100 characters.'],
  VERIFY_CODE_NOT_NUMBER: ['verifyCode', 'A code consists of digits.'],
  VERIFY_CODE_BAD_LENGTH: ['verifyCode', 'A code has exactly 4 digits.'],
  NOTIFY_BAD_URL: ['form', 'The address to notify must be a public http or https URL.'],
  NO_OUTBOUND_CAPACITY: ['form', 'This site can’t promise to pay out that much at the moment. Try a smaller amount, or come back later.'],
  NO_INBOUND_CAPACITY: ['form', 'This site can’t receive that much at the moment. Try a smaller amount, or come back later.'],
  NODE_UNAVAILABLE: ['form', 'The Lightning node of this site is not ready. Try again in a minute.'],
  GIFT_NOT_FOUND: ['form', 'There is no such gift.'],
  BAD_INVOICE: ['invoice', 'This is not a lightning address, an offer or an invoice, or not all of it. Copy it again and paste all of it.'],
  ADDRESS_INVALID: ['invoice', 'This is not a lightning address like name@wallet.example.'],
  ADDRESS_REFUSES: ['invoice', 'The lightning address gives no invoice at the moment.'],
  BAD_INVOICE_AMOUNT: ['invoice', (limits) => limits.amount
    ? `The invoice is for another amount. It must be for exactly ${sat(limits.amount)} sat.`
    : 'The invoice must be for exactly the amount of the gift.'],
  GIFT_REDEEM_PENDING: ['invoice', 'The gift is being paid to somewhere else right now.'],
  GIFT_SPENT: ['invoice', 'The gift has already been redeemed or taken back.'],
  GIFT_INVOICE_UNPAID: ['invoice', 'The sender has not paid for this gift yet.'],
  GIFT_EXPIRED: ['invoice', 'The gift has expired.'],
  BAD_VERIFY_CODE: ['verifyCode', 'That code is not right.'],
  WITHDRAWAL_FAILED: ['invoice', 'The payout did not go through.'],
  NETWORK: ['form', 'The site can’t be reached. Check your connection and try again.'],
};

// Codes whose end tells what exactly was wrong; the field is what matters.
const FAMILIES = [
  [/^(GIFT_)?EXPIR/, 'expiresAt', 'Choose a time in the future that is not too far away.'],
  [/^REFUND_?ADDRESS/, 'refundAddress', 'Enter a lightning address, like name@wallet.example.'],
  [/QUANTITY/, 'quantity', (limits) => `Enter a whole number from 1 to ${sat(limits.maxQuantity ?? 500)}. A very large order must be split.`],
  [/^IDEMPOTENCY/, 'form', 'The last attempt is still being worked on. Try again in a moment.'],
];

/// Words for a failed answer of `api()`: `{field, text}`. `limits` may hold min, max, maxQuantity and amount.
export function explain(answer, limits = {}) {
  const say = (field, text) => ({ field, text: typeof text === 'function' ? text(limits) : text });
  if (answer.code === 'VERIFY_CODE_LOCKED') {
    return say('verifyCode', `Too many wrong codes. Try again ${when(answer, 'in 15 minutes')}.`);
  }
  if (answer.status === 429) return say('form', `Too many requests from here. Try again ${when(answer, 'in a few minutes')}.`);
  const known = TABLE[answer.code];
  const reason = sentence(answer.data?.reason);
  if (answer.code === 'ADDRESS_REFUSES' && reason) return say('invoice', `${known[1]} ${reason}`);
  if (known) return say(known[0], reason || known[1]);
  for (const [pattern, field, text] of FAMILIES) if (pattern.test(answer.code)) return say(field, reason ? `${text} ${reason}` : text);
  if (answer.status === 503) return say('form', TABLE.NODE_UNAVAILABLE[1]);
  if (answer.status >= 500) return say('form', 'Something went wrong on this site. Nothing was paid; try again in a moment.');
  if (answer.status === 413) return say('form', 'That is too long.');
  return say('form', answer.code ? `The site refused this: ${answer.code}` : 'The site gave an answer that makes no sense here.');
}

/// The API's own words, where it has more to say than a code.
function sentence(reason) {
  if (typeof reason !== 'string' || !reason) return '';
  const words = reason.charAt(0).toUpperCase() + reason.slice(1);
  return /[.!?]$/.test(words) ? words : `${words}.`;
}

function when(answer, otherwise) {
  return answer.retryAt ? `after ${dateText(answer.retryAt)}` : otherwise;
}
