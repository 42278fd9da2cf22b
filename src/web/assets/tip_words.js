// The page that finds a tip by its magic words.

import { $, base, busy, markField, setText } from './common.js';
import { ask, explain, isId } from './tip.js';

const FEWEST = 3;
const fields = [...document.querySelectorAll('.words input')];

/// Which word is wrong is not known: all are marked, or those that are missing.
function showError(text, wrong = fields) {
  setText('words-error', text);
  for (const field of fields) markField(field, text && wrong.includes(field));
}

const split = (text) => text.split(/[^\p{L}]+/u).filter(Boolean);

/// Shows a field that may be hidden.
function reveal(field) {
  field.closest('li').hidden = false;
  $('words-more').hidden = fields.every((one) => !one.closest('li').hidden);
}

/// Hands words that were typed or pasted into one field to it and those behind it.
function spread(field) {
  const at = fields.indexOf(field);
  if (!/[^\p{L}]/u.test(field.value)) return;
  const ended = /[^\p{L}]$/u.test(field.value);
  const words = split(field.value).slice(0, fields.length - at);
  field.value = words[0] ?? '';
  words.slice(1).forEach((word, index) => {
    const next = fields[at + 1 + index];
    reveal(next);
    next.value = word;
  });
  const last = fields[at + Math.max(words.length - 1, 0)];
  const next = fields[fields.indexOf(last) + 1];
  // A space after a word is the way to the next field; to a hidden one only if somebody goes on typing.
  const on = ended && words.length > 0 && next;
  if (on && next.closest('li').hidden) last.value += ' ';
  if (on && !next.closest('li').hidden) next.focus();
  else last.focus();
}

for (const field of fields) {
  field.addEventListener('input', () => {
    showError('');
    spread(field);
  });
  // A field holds one line, and some browsers would join the lines of what is pasted.
  field.addEventListener('paste', (event) => {
    const text = event.clipboardData?.getData('text') ?? '';
    if (split(text).length < 2) return;
    event.preventDefault();
    field.value = split(text).join(' ');
    showError('');
    spread(field);
  });
}

$('words-more').addEventListener('click', () => {
  const next = fields.find((field) => field.closest('li').hidden);
  reveal(next);
  next.focus();
});

$('words-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const words = fields.map((field) => split(field.value.toLowerCase()).join('')).filter(Boolean);
  if (words.length < FEWEST) {
    const empty = fields.filter((field, at) => at < FEWEST && !field.value.trim());
    showError('There are at least three words.', empty);
    empty[0]?.focus();
    return;
  }
  const done = busy($('words-button'), 'Looking…');
  if (!done) return;
  const answer = await ask(`/api/tippee/tips?passphrase=${words.map(encodeURIComponent).join('+')}`);
  const id = answer.ok && Array.isArray(answer.data) ? answer.data[0]?.id : null;
  if (isId(id)) {
    location.assign(`${base}/tips/${id}/claim`);
    return;
  }
  done();
  const unknown = answer.ok || answer.status === 400 || answer.status === 404;
  showError(unknown ? 'No tip has these words. Check the words and their order.' : explain(answer));
  fields[0].focus();
});

// Back from the tip's page some browsers show this one as it was left.
window.addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload();
});
