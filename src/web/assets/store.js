// The gifts that this browser made, newest first, so that a reload loses nothing.
//
// A gift's links are worth money: they stay in this browser and are sent nowhere.

const KEY = 'satchel.gifts';
const AWAITED = 'satchel.awaited';
const MOST = 200;

let memory = [];
let lasting = true;

function read() {
  if (!lasting) return memory;
  try {
    const list = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(list) ? list.filter((gift) => gift && typeof gift.orderId === 'string') : [];
  } catch {
    return memory;
  }
}

function write(list) {
  memory = list;
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
  } catch {
    lasting = false;
  }
}

/// Whether the browser keeps what we store.
export function isLasting() {
  if (!lasting) return false;
  try {
    localStorage.setItem('satchel.probe', '1');
    localStorage.removeItem('satchel.probe');
  } catch {
    lasting = false;
  }
  return lasting;
}

export function allGifts() {
  return read();
}

export function findGift(orderId) {
  return read().find((gift) => gift.orderId === orderId) ?? null;
}

export function addGift(gift) {
  const others = read().filter((other) => other.orderId !== gift.orderId);
  // Room is made among those with nothing in them any more; a gift that holds money is never dropped.
  const surplus = others.length + 1 - MOST;
  const droppable = others.filter((other) => ['redeemed', 'refunded', 'lapsed'].includes(other.status)).slice(-Math.max(surplus, 0));
  write([gift, ...others.filter((other) => surplus <= 0 || !droppable.includes(other))]);
}

/// Changes some fields of a stored gift. True if that changed anything.
export function updateGift(orderId, changes) {
  const list = read();
  const gift = list.find((candidate) => candidate.orderId === orderId);
  if (!gift || Object.entries(changes).every(([key, value]) => gift[key] === value)) return false;
  Object.assign(gift, changes);
  write(list);
  return true;
}

export function forgetGift(orderId) {
  write(read().filter((gift) => gift.orderId !== orderId));
  if (awaitedId() === orderId) setAwaited(null);
}

/// The gift whose invoice is being paid, so that a lost tab finds it again.
export function awaitedId() {
  try {
    return localStorage.getItem(AWAITED);
  } catch {
    return null;
  }
}

export function setAwaited(orderId) {
  try {
    if (orderId) localStorage.setItem(AWAITED, orderId);
    else localStorage.removeItem(AWAITED);
  } catch {
    lasting = false;
  }
}

/// Calls back when another tab changed the list.
export function onChange(callback) {
  window.addEventListener('storage', (event) => {
    if (event.key === KEY) callback();
  });
}
