// A store's page: what it sells, and a cart. The cart is kept in this browser, by store.

import {
  $, announce, api, base, busy, element, localPath, main, mendsErrors, setState, setText, showErrors, theirs,
} from './common.js';
import { explain } from './errors.js';
import { money } from './money.js';

const { slug } = main.dataset;
const path = `/api/shopify/${slug}`;
const KEY = `cart:${slug}`;
const MOST = 10;

let store = null;
const known = new Map();
let cart = readCart();

// ---- the catalogue --------------------------------------------------------------------------------------------------

async function load(cursor = '') {
  const answer = await api(`${path}/catalog?limit=50&cursor=${encodeURIComponent(cursor)}`);
  if (!answer.ok) return trouble(answer);
  if (!store) {
    store = answer.data;
    setText('store-name', store.storeName);
    setText('store-text', store.description);
    document.title = store.storeName;
    if (!$('country').value) $('country').value = store.country;
    setText('shipping', shippingText(store.shipping));
  }
  for (const product of answer.data.products) $('products').append(drawProduct(product));
  $('more').hidden = !answer.data.nextCursor;
  $('more').onclick = () => load(answer.data.nextCursor);
  setState('open');
  drawCart();
}

function trouble(answer) {
  if (answer.status === 404) {
    setState('not_found');
    return announce('There is no such store');
  }
  setText('trouble-text', explain(answer).text);
  setState('trouble');
}

function shippingText(shipping) {
  const rates = shipping.rates.map((rate) => {
    const place = rate.country === '*' ? 'elsewhere' : [rate.country, rate.state].filter(Boolean).join(' ');
    return `${place} ${money(rate.price, store.currency)}`;
  });
  return rates.length ? `Shipping: ${rates.join(', ')}.` : '';
}

function drawProduct(product) {
  const card = element('li', { class: 'card' });
  if (product.imageUrl) {
    card.append(element('img', { src: product.imageUrl, alt: '', loading: 'lazy', referrerpolicy: 'no-referrer' }));
  }
  card.append(element('h3', { dir: 'auto' }, product.title));
  if (product.description) card.append(element('p', { class: 'hint', dir: 'auto' }, product.description));
  for (const variant of product.variants) {
    known.set(variant.variantId, { ...variant, product: product.title });
    const own = variant.title !== 'Default Title';
    const name = own ? `${variant.title} · ` : '';
    const button = element('button', { type: 'button', class: 'button' }, variant.available ? 'Add' : 'Sold out');
    button.disabled = !variant.available;
    button.setAttribute('aria-label', `Add ${product.title} ${name}to the cart`);
    button.addEventListener('click', () => change(variant.variantId, 1));
    card.append(element('p', { class: 'buy' }, element('span', {}, ...(own ? [theirs(variant.title), ' · '] : []), money(variant.price, store.currency)), button));
  }
  return card;
}

// ---- the cart -------------------------------------------------------------------------------------------------------

function readCart() {
  try {
    const lines = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return new Map(lines.filter(([id, count]) => Number.isInteger(id) && count >= 1 && count <= MOST));
  } catch {
    return new Map();
  }
}

function change(id, by) {
  const pieces = [...cart.values()].reduce((sum, count) => sum + count, 0);
  if (by > 0 && pieces >= MOST) return problem(`At most ${MOST} pieces are sold in one order.`);
  const count = (cart.get(id) ?? 0) + by;
  if (count > 0) cart.set(id, count);
  else cart.delete(id);
  try {
    localStorage.setItem(KEY, JSON.stringify([...cart]));
  } catch {
    // A browser that keeps nothing: the cart lasts as long as the page.
  }
  problem('');
  drawCart();
  announce(by > 0 ? 'Added to the cart' : 'Taken out of the cart');
}

function drawCart() {
  const lines = [...cart].filter(([id]) => known.has(id)).map(([id, count]) => {
    const variant = known.get(id);
    const name = variant.title === 'Default Title' ? variant.product : `${variant.product} (${variant.title})`;
    const less = element('button', { type: 'button', class: 'button', 'aria-label': `One ${name} less` }, '−');
    const more = element('button', { type: 'button', class: 'button', 'aria-label': `One ${name} more` }, '+');
    less.addEventListener('click', () => change(id, -1));
    more.addEventListener('click', () => change(id, 1));
    const text = [`${count} × `, theirs(name), `, ${money(variant.price * count, store.currency)}`];
    return element('li', {}, element('span', {}, ...text), less, more);
  });
  $('lines').replaceChildren(...lines);
  $('empty').hidden = lines.length > 0;
  $('checkout').hidden = lines.length === 0;
}

function problem(text) {
  setText('problem', text);
  $('problem').hidden = !text;
}

const form = $('checkout');
const places = { country: $('country'), state: $('state') };

function wrongPlaces() {
  const errors = {};
  if (!/^[a-z]{2}$/i.test(places.country.value.trim())) errors.country = 'Enter the country’s code of two letters, like US.';
  if (!/^[a-z0-9]*$/i.test(places.state.value.trim())) errors.state = 'A code has letters and digits only, like CA. Leave it empty if there is none.';
  return errors;
}

mendsErrors(form);
form.addEventListener('submit', async (event) => {
  event.preventDefault();
  problem('');
  if (showErrors(form, places, wrongPlaces())) return;
  const done = busy($('buy'), 'Making an invoice');
  if (!done) return;
  const items = [...cart].filter(([id]) => known.has(id)).map(([variantId, quantity]) => ({ variantId, quantity }));
  const at = `${places.country.value.trim()}-${places.state.value.trim()}`;
  const answer = await api(`${path}/checkout`, { items }, { 'X-Buyer-Location': at });
  done();
  if (answer.status !== 402 || !answer.data?.orderUrl) {
    return problem(answer.data?.message ?? explain(answer).text);
  }
  location.assign(localPath(answer.data.orderUrl) || base);
});

$('again').addEventListener('click', () => {
  setState('loading');
  load();
});

load();
