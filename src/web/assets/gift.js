// What state a gift is in, read from the API's answer, and the words for it.

import { timeOf } from './common.js';

/// One of the keys of STATE_TEXT: what the API calls `state`, or what its older fields say where that is missing.
export function stateOf(gift) {
  const until = timeOf(gift.expiresAt);
  const told = Object.hasOwn(STATE_TEXT, gift.state ?? '') ? gift.state : derived(gift);
  return told === 'open' && until !== null && until <= Date.now() ? 'expired' : told;
}

function derived(gift) {
  if (gift.spent === true) return 'redeemed';
  if (gift.spent === 'pending') return 'pending';
  if (gift.chargeStatus === 'expired') return 'lapsed';
  if (gift.chargeStatus !== 'paid') return 'unpaid';
  return 'open';
}

export const STATE_TEXT = {
  unpaid: 'Not paid yet',
  lapsed: 'Invoice expired',
  open: 'Not redeemed yet',
  pending: 'Being paid out',
  redeemed: 'Redeemed',
  expired: 'Expired',
  refunding: 'Going back to you',
  refunded: 'Returned to you',
};

/// Whether nothing can happen to the gift any more.
export function isFinal(state) {
  return state === 'redeemed' || state === 'refunded';
}

/// Whether a gift that this browser remembers is one of several that one invoice pays for.
export function isBatch(remembered) {
  return remembered.gifts?.length > 1;
}

/// What to remember of an answer. A batch is only followed until it is paid: from then on each of its gifts goes its own way.
export function statusFor(remembered, told) {
  const state = stateOf(told);
  return isBatch(remembered) && state !== 'unpaid' && state !== 'lapsed' ? 'open' : state;
}

/// Whether asking again can tell nothing new about a remembered gift.
export function isSettled(remembered) {
  return isFinal(remembered.status) || (isBatch(remembered) && remembered.status === 'open');
}

/// The text of the error that the last payout of this gift ended with, if it did.
export function payoutError(gift) {
  const error = gift.withdrawalInfo?.error ?? gift.withdrawal_info?.error;
  if (!error) return '';
  return typeof error === 'string' ? error : String(error.message ?? JSON.stringify(error));
}
