// What the pages of tips share: how their API answers, who is looking, and the wallets there are.

import { api, dateText, element } from './common.js';

/// Asks the API of tips. An answer without a body is fine too; `message` is what the API says of an error.
export async function ask(path, body) {
  const answer = await api(path, body);
  const ok = answer.ok || answer.status === 204;
  const message = typeof answer.data?.errorMessage === 'string' ? answer.data.errorMessage : '';
  return { ...answer, ok, message, code: answer.data?.code ?? answer.code };
}

/// Words for a failed answer of `ask()`.
export function explain(answer) {
  if (answer.status === 429) {
    const when = answer.retryAt ? `after ${dateText(answer.retryAt)}` : 'in a minute';
    return `Too many requests from here. Try again ${when}.`;
  }
  if (answer.message) return withFullStop(answer.message);
  if (answer.status === 0) return 'The site can’t be reached. Check your connection and try again.';
  if (answer.status >= 500) return 'Something went wrong on this site. Try again in a moment.';
  return 'The site gave an answer that makes no sense here.';
}

function withFullStop(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/// Whoever this browser is logged in as: `{id, guest, lightningAddress, …}`. Null for nobody.
export async function whoIsThere() {
  const answer = await ask('/api/auth/session');
  return answer.ok && answer.data?.id ? answer.data : null;
}

export function isId(text) {
  return /^c[0-9a-z]{24}$/.test(text ?? '');
}

/// An address from a stranger, if it is one of the web. Null for any other.
export function webAddress(text, schemes = ['https:', 'http:']) {
  try {
    const url = new URL(text);
    return schemes.includes(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

// Ids as tippers give them; `login` for those that speak lnurl-auth; `min` in sat, where a first payment must be larger.
const WALLETS = [
  { id: 'phoenix', name: 'Phoenix', login: true, min: 10000 },
  { id: 'zeus', name: 'Zeus', login: true },
  { id: 'blixt', name: 'Blixt', login: true },
  { id: 'blue', name: 'BlueWallet', login: true },
  { id: 'alby', name: 'Alby', login: true },
  { id: 'breez', name: 'Breez', login: true, min: 3000 },
  { id: 'bitkit', name: 'Bitkit', login: true, min: 3000 },
  { id: 'wos', name: 'Wallet of Satoshi' },
  { id: 'muun', name: 'Muun' },
  { id: 'blink', name: 'Blink' },
  { id: 'alby-go', name: 'Alby Go' },
  { id: 'strike', name: 'Strike' },
  { id: 'cashapp', name: 'Cash App' },
  { id: 'zebedee', name: 'ZBD' },
  { id: 'lifpay', name: 'LifPay' },
  { id: 'pouch', name: 'Pouch' },
  { id: 'obw', name: 'OBW' },
];

/// Fills a list with the names of wallets that take so many sat, the one that the tipper recommends on top.
export function listWallets(list, { recommended, amount, login = false }) {
  const fitting = WALLETS.filter((wallet) => (!login || wallet.login) && (wallet.min ?? 0) <= amount);
  // The tipper knows best, also when we think that it doesn't fit.
  const first = WALLETS.filter((wallet) => wallet.id === recommended);
  const rest = fitting.filter((wallet) => wallet.id !== recommended);
  list.replaceChildren(
    ...first.map((wallet) => element('li', {}, element('strong', {}, wallet.name), element('span', { class: 'badge' }, 'Recommended'))),
    ...rest.map((wallet) => element('li', {}, wallet.name)),
  );
}
