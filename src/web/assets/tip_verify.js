// The page behind the link of a letter. Opening it changes nothing; the button logs in.

import { $, announce, base, busy, setState, setText } from './common.js';
import { ask, explain, isId } from './tip.js';

// Behind the # so that it never reaches a server's log; the address bar need not keep it either.
const token = location.hash.slice(1);
history.replaceState(null, '', location.pathname);

async function verify(button) {
  const done = busy(button, 'Logging in…');
  if (!done) return;
  const answer = await ask('/api/auth/2fa/verify', { token });
  done();
  if (answer.ok) {
    if (isId(answer.data.tipId)) return location.replace(`${base}/tips/${answer.data.tipId}/claim`);
    setState('done');
    announce('You are logged in');
    return;
  }
  if (answer.status === 404) {
    setState('elsewhere');
    announce('This link does not work here');
    return;
  }
  setText('verify-error', explain(answer));
  setState('trouble');
}

$('verify-button').addEventListener('click', () => verify($('verify-button')));
$('verify-again').addEventListener('click', () => verify($('verify-again')));
if (!/^[0-9a-f]{64}$/.test(token)) setState('elsewhere');
