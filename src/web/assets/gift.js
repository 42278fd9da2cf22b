// What state a gift is in, read from the API's answer, and the words for it.

import { timeOf } from './common.js';

/// unpaid, lapsed (its invoice expired unpaid), open, pending, redeemed, expired, returning or returned.
///
/// `state` is there for what the documented fields can't tell: a gift that went back to its sender is spent as well.
export function stateOf(gift) {
  const told = gift.state;
  if (told === 'returned' || told === 'returning') return told;
  if (gift.spent === true) return 'redeemed';
  if (gift.spent === 'pending') return 'pending';
  if (gift.chargeStatus === 'expired') return 'lapsed';
  if (gift.chargeStatus !== 'paid') return 'unpaid';
  const until = timeOf(gift.expiresAt);
  if (told === 'expired' || (until !== null && until <= Date.now())) return 'expired';
  return 'open';
}

export const STATE_TEXT = {
  unpaid: 'Not paid yet',
  lapsed: 'Invoice expired',
  open: 'Not redeemed yet',
  pending: 'Being paid out',
  redeemed: 'Redeemed',
  expired: 'Expired',
  returning: 'Going back to you',
  returned: 'Returned to you',
};

/// Whether nothing can happen to the gift any more.
export function isFinal(state) {
  return state === 'redeemed' || state === 'returned';
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
