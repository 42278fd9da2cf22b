// Logging in by a letter: ask for one, then wait for its link to be opened or its code to be typed.

import { $, busy, markField, setText } from './common.js';
import { ask, explain, whoIsThere } from './tip.js';

// Who comes back to this page looks at once; this is for those who never left it.
const POLL_MS = 15000;

export class MailLogin {
  /// `link`: connect the address with whoever this browser is, instead of becoming its owner. `onDone()` once logged in.
  constructor({ link, tipId, session, onDone }) {
    this.state = 'mail';
    this.link = link;
    this.tipId = tipId;
    this.before = session;
    this.onDone = onDone;
    this.sent = false;
    this.timer = 0;
    this.stopped = false;
    this.visibility = () => {
      if (!document.hidden && this.sent) this.poll();
    };
    document.addEventListener('visibilitychange', this.visibility);
    $('mail-code').value = '';
    this.show('');
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    document.removeEventListener('visibilitychange', this.visibility);
  }

  async send() {
    const done = busy($('mail-send'), 'Sending…');
    if (!done) return;
    const email = $('mail-address').value.trim();
    const answer = await ask('/api/auth/2fa/send', { email, tipId: this.tipId, linkExistingAccount: this.link });
    done();
    if (this.stopped) return;
    if (!answer.ok) return this.show(answer.code === 'EMAIL_BAD' ? 'Enter an e-mail address, like name@example.com.' : explain(answer));
    this.sent = true;
    $('mail-code').value = '';
    setText('mail-to', email);
    this.show('');
    $('mail-code').focus();
    this.later();
  }

  async enter() {
    const done = busy($('mail-enter'), 'Logging in…');
    if (!done) return;
    const answer = await ask('/api/auth/2fa/verify', { code: $('mail-code').value });
    done();
    if (this.stopped) return;
    if (answer.ok) return this.finish();
    // Too many wrong ones, or too late.
    if (answer.code === 'LOGIN_NOT_FOUND') this.again();
    this.show(explain(answer));
  }

  /// Back to the address.
  again() {
    this.sent = false;
    clearTimeout(this.timer);
    this.show('');
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), POLL_MS);
  }

  /// Whether the link was opened in another tab of this browser.
  async poll() {
    clearTimeout(this.timer);
    if (document.hidden) return;
    const now = await whoIsThere();
    if (this.stopped || !this.sent) return;
    const changed = now && (now.id !== this.before?.id || (this.before.guest && !now.guest));
    if (changed) return this.finish();
    this.later();
  }

  finish() {
    this.stop();
    this.onDone();
  }

  show(error) {
    $('mail-form').hidden = this.sent;
    $('mail-sent').hidden = !this.sent;
    setText('mail-error', error);
    $('mail-error').hidden = !error;
    for (const id of ['mail-address', 'mail-code']) markField($(id), error && !$(id).closest('[hidden]'));
    $('mail-other').hidden = !this.link;
    $('mail-held').hidden = true;
  }
}
