// Prices as people read them.

import { sat } from './common.js';

export function money(amount, currency) {
  if (currency === 'sats') return `${sat(amount)} sat`;
  try {
    return new Intl.NumberFormat(undefined, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' }).format(amount);
  } catch {
    return `${amount} ${currency}`;
  }
}
