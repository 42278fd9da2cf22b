// Logging in with a Lightning wallet: show a code, wait until the wallet has confirmed it, finish.

import { $, setText, showPayable } from './common.js';
import { ask, explain } from './tip.js';

const POLL_MS = 3000;

export class WalletLogin {
  /// `link`: connect the wallet with whoever this browser is, instead of becoming its owner. `onDone()` once logged in.
  constructor({ link, onDone }) {
    this.state = 'login';
    this.link = link;
    this.onDone = onDone;
    this.k1 = '';
    this.timer = 0;
    this.stopped = false;
    // On a phone the wallet takes the screen: look at once when the page is back.
    this.visibility = () => {
      if (!document.hidden && this.k1) this.poll();
    };
    document.addEventListener('visibilitychange', this.visibility);
    this.begin();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    document.removeEventListener('visibilitychange', this.visibility);
  }

  async begin() {
    this.k1 = '';
    this.show({ ready: false, error: '' });
    const answer = await ask(`/api/auth/lnurl/generate-secret${this.link ? '?linkExistingAccount=true' : ''}`);
    if (this.stopped) return;
    if (!answer.ok) return this.fail(explain(answer));
    this.k1 = answer.data.k1;
    showPayable({ link: 'login-link', open: 'login-open', image: 'login-qr', field: 'login-lnurl' }, answer.data.lnurl_auth);
    setText('login-status', 'Waiting for the wallet');
    this.show({ ready: true, error: '' });
    this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), POLL_MS);
  }

  async poll() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    const asked = this.k1;
    const answer = await ask(`/api/auth/lnurl/status?k1=${asked}`);
    if (this.stopped || asked !== this.k1) return;
    if (answer.ok && answer.data.verified) return this.finish();
    if (answer.ok && answer.data.used) return this.fail('This code has expired.');
    this.later();
  }

  async finish() {
    const k1 = this.k1;
    this.k1 = '';
    setText('login-status', 'Confirmed');
    const answer = await ask('/api/auth/lnurl/session', { k1 });
    if (this.stopped) return;
    if (!answer.ok) return this.fail(explain(answer));
    this.stop();
    this.onDone();
  }

  /// Shows why it goes no further, and the button for a new code.
  fail(text) {
    this.k1 = '';
    clearTimeout(this.timer);
    this.show({ ready: false, error: text });
  }

  show({ ready, error }) {
    $('login-ready').hidden = !ready;
    setText('login-error', error);
    $('login-error').hidden = !error;
    $('login-again').hidden = !error;
    $('login-other').hidden = !this.link;
    $('login-held').hidden = true;
  }
}
