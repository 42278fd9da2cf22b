// The page of a tip: from a link to the sats in a wallet.

import {
  $, announce, base, busy, dateText, main, sat, setState, setText, setWords, theirs, timeOf,
} from './common.js';
import { Watcher } from './live.js';
import { ask, explain, isId, listWallets, webAddress, whoIsThere } from './tip.js';
import { WalletLogin } from './tip_login.js';
import { MailLogin } from './tip_mail.js';
import { claimedTips, forgetPayout, onPaidOut, showPayout, suggest, sumOf } from './tip_payout.js';

const tipId = main.dataset.tipId;
const path = `/api/tippee/tips/${tipId}`;
const printed = new URLSearchParams(location.search).get('printed') === 'true';
// The group whose link led here, for another try if this tip is gone.
const group = new URLSearchParams(location.hash.slice(1)).get('group');
const RETRY_MS = 5000;
const SLOWEST_RETRY_MS = 60000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

let tip = null;
let session = null;
let isTipper = false;
let watcher = null;
let login = null;
let failed = false;
let taking = false;
let seen = null;
let skew = 0;
let expiryTimer = 0;
let retryTimer = 0;
let retryDelay = RETRY_MS;

const now = () => Date.now() - skew;
const isMine = () => Boolean(session) && tip.tippeeId === session.id;

// ---- fetching -------------------------------------------------------------------------------------------------------

async function load() {
  clearTimeout(retryTimer);
  const [answer, someone] = await Promise.all([ask(path), whoIsThere()]);
  if (!answer.ok) return trouble(answer);
  ({ skew } = answer);
  session = someone;
  isTipper = await gives(answer.data);
  draw(answer.data);
  watcher = new Watcher({ path, stream: `${path}/live`, onNews: draw, onTrouble: trouble });
}

/// Whether the tip is this browser's user's own. One who stays anonymous is not named in it, so their own list tells.
async function gives(told) {
  if (!session || told.tippeeId === session.id) return false;
  if (told.tipperId) return told.tipperId === session.id;
  return (await ask(`/api/tipper/tips/${tipId}`)).ok;
}

function trouble(answer) {
  if (answer.status === 404) {
    watcher?.stop();
    setState('not_found');
    $('preview').hidden = $('failure').hidden = $('mine').hidden = $('stale').hidden = true;
    announce('There is no such tip');
    return;
  }
  const text = explain(answer);
  if (tip) {
    setText('stale', `${text} What you see may be old.`);
    $('stale').hidden = false;
    return;
  }
  setText('trouble-text', text);
  setState('trouble');
  const wait = Math.max(retryDelay, (answer.retryAt ?? 0) - Date.now());
  retryDelay = Math.min(retryDelay * 2, SLOWEST_RETRY_MS);
  retryTimer = setTimeout(load, wait);
}

/// Tells that a person has seen the tip, once they really can.
function markSeen() {
  seen ??= shown().then(() => ask(`${path}/markSeen`, {})).then((answer) => {
    if (!answer.ok) seen = null;
  });
  return seen;
}

function shown() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
  });
}

// ---- drawing --------------------------------------------------------------------------------------------------------

const SAID = {
  unfunded: 'The tip is not paid yet',
  preview: 'This is a preview of your own tip',
  claim: 'The tip can be claimed',
  wallets: 'The tip is claimed with a wallet',
  withdraw: 'The tip can be withdrawn',
  pending: 'The tip is being paid out',
  done: 'The tip has been withdrawn',
  taken: 'The tip has been claimed already',
  expired: 'The tip has expired',
  returned: 'The tip went back to the sender',
  gone: 'The tip was given up',
};

const STATUS_TEXT = {
  UNFUNDED: 'Not paid yet',
  UNSEEN: 'Not opened yet',
  SEEN: 'Opened, not claimed yet',
  CLAIMED: 'Claimed, not withdrawn yet',
};

const PREVIEW_TEXT = {
  SKIP: 'A code that any Lightning wallet can scan to take the sats at once.',
  DEFAULT: 'A button that claims the tip without an account, and then ways to take the sats into a wallet.',
  LIGHTNING: 'A list of wallets, a login with one of them that claims the tip, and then ways to take the sats into it.',
};

/// Which of the page's states belongs to what the API told.
function naturalState() {
  const { status } = tip;
  if (status === 'DELETED') return 'gone';
  if (status === 'WITHDRAWN') return 'done';
  if (!Object.hasOwn(STATUS_TEXT, status)) return 'returned';
  if (tip.withdrawalPending) return 'pending';
  if (timeOf(tip.expiry) <= now()) return 'expired';
  if (isTipper) return 'preview';
  if (status === 'UNFUNDED') return 'unfunded';
  if (status === 'CLAIMED') return isMine() ? 'withdraw' : 'taken';
  if (tip.onboardingFlow === 'SKIP') return 'withdraw';
  return tip.onboardingFlow === 'LIGHTNING' && (session?.guest ?? true) ? 'wallets' : 'claim';
}

function draw(told) {
  noteOutcome(tip, told);
  tip = told;
  const natural = naturalState();
  if (login && login.from !== natural) endLogin();
  const state = login ? login.state : natural;
  $('stale').hidden = true;
  for (const place of document.querySelectorAll('[data-fill="amount"]')) setText(place, sat(told.amount));
  setWords('headline', ...headline());
  setText('note', note());
  $('note').hidden = !told.note;
  drawExpiry();
  if (state === 'preview') {
    setText('preview-text', PREVIEW_TEXT[told.onboardingFlow] ?? '');
    setText('preview-status', STATUS_TEXT[told.status]);
  }
  if (state === 'claim') for (const part of [$('claim-login'), $('claim-mail'), $('claim-hint')]) if (part) part.hidden = !(session?.guest ?? true);
  if (state === 'wallets') listWallets($('login-wallets'), { recommended: told.recommendedWalletId, amount: told.amount, login: true });
  if (state === 'withdraw') drawWithdraw();
  if (state === 'done') drawDone();
  if (setState(state)) announce(SAID[state] ?? '');
  $('preview').hidden = !isTipper;
  $('failure').hidden = state !== 'withdraw' || !failed;
  $('mine').hidden = state !== 'withdraw' || !isMine();
  $('another-link').hidden = !isId(group) || isMine();
  document.title = $('headline').textContent;
  if (told.status === 'UNSEEN' && ['claim', 'wallets', 'login', 'mail', 'withdraw'].includes(state)) markSeen();
  if (['done', 'returned', 'gone'].includes(state)) watcher?.stop();
}

/// A payout that ended while somebody looked: well or not.
function noteOutcome(before, told) {
  if (!before) return;
  const tried = before.withdrawalPending || before.lastWithdrawal !== told.lastWithdrawal;
  if (told.withdrawalPending) failed = false;
  else if (tried) failed = true;
  taking ||= ['withdraw', 'pending'].includes(main.dataset.state);
}

/// The note as the tipper wrote it; but for somebody by a group's link without a name that is another's.
function note() {
  return (isId(group) && tip.noteWithoutName) || tip.note || '';
}

/// Whoever follows a group's link gets the next tip that is free, whatever name the tipper had in mind for it.
function headline() {
  const from = tip.tipper?.name;
  const hello = tip.tippeeName && !isId(group) ? ['Hello ', theirs(tip.tippeeName), ', '] : [];
  const what = hello.length ? 'a tip for you' : 'A tip for you';
  return [...hello, ...(from ? [theirs(from), ' sent you a tip'] : [what])];
}

function drawExpiry() {
  clearTimeout(expiryTimer);
  const until = timeOf(tip.expiry);
  const day = dateText(until);
  setText('expires-at', day);
  $('expires-at').dateTime = tip.expiry;
  setText('expired-text', {
    UNFUNDED: `It was never paid, and its time ended at ${day}.`,
    CLAIMED: `It was claimed, but not withdrawn by ${day}. So it goes back to the sender: ask them for a new one.`,
  }[tip.status] ?? `Nobody took it by ${day}. So it goes back to the sender: ask them for a new one.`);
  const left = until - now();
  if (left > 0 && left < LONGEST_TIMER_MS) expiryTimer = setTimeout(() => draw(tip), left + 1);
}

function drawDone() {
  setText('done-title', isMine() || taking ? 'Congratulations!' : 'This tip has been withdrawn');
  setText('done-text', `${sat(tip.amount)} sat have been paid out to ${isMine() ? 'your' : 'a'} wallet.`);
  const link = webAddress(tip.advertisementUrl);
  const image = webAddress(tip.advertisementImageUrl, ['https:']);
  $('sponsor').hidden = !link && !image;
  if (link) $('sponsor-link').href = link.href;
  setText('sponsor-text', link ? link.hostname : '');
  if (image && $('sponsor-image').getAttribute('src') !== image.href) {
    $('sponsor-image').src = image.href;
    $('sponsor-image').hidden = false;
  }
}

$('sponsor-image').addEventListener('error', () => {
  $('sponsor-image').hidden = true;
});

// ---- withdrawing ----------------------------------------------------------------------------------------------------

function drawWithdraw() {
  const mine = isMine();
  $('mine-guest').hidden = !(mine && session.guest);
  listWallets($('any-wallets'), { recommended: tip.recommendedWalletId, amount: tip.amount });
  if (mine) suggest(session.lightningAddress);
  showPayout([tip.status, tip.lastWithdrawal, session?.id].join(), mine ? allOfMine : thisAlone);
}

async function thisAlone() {
  return { flow: 'anonymous', amount: tip.amount, tipId };
}

async function allOfMine() {
  const tips = await claimedTips(now());
  const others = tips?.filter((other) => other.id !== tipId) ?? [];
  if (!tips?.length) return null;
  const amount = sumOf(tips);
  setText('mine-sum', others.length
    ? `It is paid out together with ${others.length === 1 ? 'another tip' : `${others.length} other tips`} that you have claimed: ${sat(amount)} sat in all.`
    : '');
  $('mine-sum').hidden = !others.length;
  return { flow: 'tippee', amount };
}

onPaidOut(async (answer) => {
  if (answer.ok) taking = true;
  // What can be withdrawn is not what this page believed: look again.
  if (answer.status === 409) forgetPayout();
  await watcher?.refresh();
});

// ---- claiming -------------------------------------------------------------------------------------------------------

function showClaimError(text) {
  setText('claim-error', text);
  $('claim-error').hidden = !text;
}

async function claim() {
  const done = busy($('claim-button'), 'Claiming…');
  if (!done) return;
  showClaimError('');
  const error = await claimed();
  done();
  if (error) showClaimError(error);
  await watcher?.refresh();
}

/// Claims for whoever this browser is, or else for a guest. Words for what went wrong, or nothing.
async function claimed() {
  if (!session) {
    const answer = await ask('/api/auth/guest', {});
    if (!answer.ok) return explain(answer);
    session = await whoIsThere();
    if (!session) return 'This browser keeps no cookies, and only a cookie would know that the tip is yours. Allow them for this site and try again.';
  }
  // Only what somebody has seen can be claimed.
  await markSeen();
  const answer = await ask(`${path}/claim`, printed ? { isPrinted: true } : {});
  if (answer.status === 401) session = null;
  return answer.ok ? '' : explain(answer);
}

$('claim-button').addEventListener('click', claim);

// ---- logging in -----------------------------------------------------------------------------------------------------

/// Opens a login from the state that is shown. With `link` what a guest has claimed stays with them.
function beginLogin(link, after = () => {}, way = WalletLogin) {
  endLogin();
  login = new way({ link, tipId, session, onDone: () => loggedIn(after) });
  Object.assign(login, { from: naturalState(), after });
  const connecting = link && isMine();
  setText('login-title', connecting ? 'Connect a wallet' : 'Log in with your wallet');
  if (way === MailLogin) setText('mail-title', connecting ? 'Connect an e-mail address' : 'Log in by e-mail');
  draw(tip);
}

function endLogin() {
  login?.stop();
  login = null;
}

async function loggedIn(after) {
  session = await whoIsThere();
  isTipper = await gives(tip);
  endLogin();
  draw(tip);
  await after();
}

const thenClaim = () => (naturalState() === 'claim' ? claim() : null);
$('claim-login').addEventListener('click', () => beginLogin(Boolean(session), thenClaim));
$('wallets-next').addEventListener('click', () => beginLogin(Boolean(session), thenClaim));
$('mine-login').addEventListener('click', () => beginLogin(true));
$('taken-login').addEventListener('click', () => claimedElsewhere(WalletLogin));

async function claimedElsewhere(way) {
  if (await isHolding('taken-error')) return;
  beginLogin(false, () => {
    const wrong = naturalState() === 'taken';
    setText('taken-error', wrong ? 'You are logged in, but not as who claimed this tip.' : '');
    $('taken-error').hidden = !wrong;
  }, way);
}

/// Whether this browser's guest has tips that only its cookie opens: logging in as somebody else would leave them behind.
async function isHolding(place) {
  const tips = session?.guest ? await claimedTips(now()) : [];
  if (tips?.length === 0) return false;
  setText(place, tips
    ? `This browser holds ${sat(sumOf(tips))} sat that were claimed without logging in, and another login would leave them behind. Withdraw them first.`
    : 'The site can’t be reached. Try again in a moment.');
  $(place).hidden = false;
  const held = $(place.replace('error', 'held'));
  if (held && tips) {
    held.href = `${base}/tips/${tips[0].id}/claim`;
    held.hidden = false;
  }
  return true;
}

$('login-again').addEventListener('click', () => login?.begin());
$('login-back').addEventListener('click', () => {
  endLogin();
  draw(tip);
});
$('login-other').addEventListener('click', async () => {
  const open = login;
  if (await isHolding('login-error') || login !== open) return;
  beginLogin(false, open.after);
});

// The site may send no letters: then the page has none of this.
if ($('mail-form')) {
  const back = () => {
    endLogin();
    draw(tip);
  };
  $('claim-mail').addEventListener('click', () => beginLogin(Boolean(session), thenClaim, MailLogin));
  $('mine-mail').addEventListener('click', () => beginLogin(true, undefined, MailLogin));
  $('taken-mail').addEventListener('click', () => claimedElsewhere(MailLogin));
  $('mail-again').addEventListener('click', () => login?.again());
  $('mail-back').addEventListener('click', back);
  $('mail-other').addEventListener('click', async () => {
    const open = login;
    if (await isHolding('mail-error') || login !== open) return;
    beginLogin(false, open.after, MailLogin);
  });
  for (const [form, act] of [['mail-form', 'send'], ['mail-sent', 'enter']]) {
    $(form).addEventListener('submit', (event) => {
      event.preventDefault();
      login?.[act]();
    });
  }
}

if (isId(group)) $('another-link').href = `${base}/tip-groups/${group}/static`;
load();
