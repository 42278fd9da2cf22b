// Follows a gift, or whatever else the API tells of: by server-sent events, and by polling where those fail.
//
// While the page is hidden nothing is open, since a browser grants a host only a handful of connections over all its tabs.

import { api, base } from './common.js';

const POLL_MS = 5000;
const SLOWEST_POLL_MS = 60000;
// A stream may be dead without the browser knowing: now and then ask anyway.
const CHECK_MS = 60000;
// A stream starts with the state; if none comes, something on the way holds it back.
const FIRST_EVENT_MS = 6000;
const RETRY_STREAM_MS = 10000;
const SLOWEST_RETRY_STREAM_MS = 300000;

export class Watcher {
  /// Paths of the thing and of its stream. `onNews(thing)` after each change; `onTrouble(answer)` for each failed poll.
  constructor({ path, stream, onNews, onTrouble = () => {} }) {
    this.path = path;
    this.stream = `${base}${stream}`;
    this.onNews = onNews;
    this.onTrouble = onTrouble;
    this.source = null;
    this.timer = 0;
    this.delay = POLL_MS;
    this.streamDelay = RETRY_STREAM_MS;
    this.streamAt = 0;
    this.seen = 0;
    this.stopped = false;
    this.visibility = () => (document.hidden ? this.pause() : this.resume());
    document.addEventListener('visibilitychange', this.visibility);
    if (!document.hidden) this.resume();
  }

  stop() {
    this.stopped = true;
    document.removeEventListener('visibilitychange', this.visibility);
    this.pause();
  }

  pause() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  resume() {
    if (this.stopped) return;
    this.pause();
    this.delay = POLL_MS;
    this.open();
  }

  open() {
    if (!window.EventSource) {
      this.streamAt = Infinity;
      this.later(0);
      return;
    }
    const source = new EventSource(this.stream);
    this.source = source;
    source.addEventListener('state', (event) => {
      if (source !== this.source) return;
      let told;
      try {
        told = JSON.parse(event.data);
      } catch {
        return this.lost();
      }
      this.streamDelay = RETRY_STREAM_MS;
      this.deliver(told);
      if (!this.stopped) this.later(CHECK_MS);
    });
    source.onerror = () => {
      if (source === this.source) this.lost();
    };
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lost(), FIRST_EVENT_MS);
  }

  /// The stream is of no use: poll, and try it again some time later.
  lost() {
    if (this.stopped) return;
    this.pause();
    this.streamAt = Date.now() + this.streamDelay;
    this.streamDelay = Math.min(this.streamDelay * 2, SLOWEST_RETRY_STREAM_MS);
    this.later(0);
  }

  later(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.poll(), ms);
  }

  deliver(told) {
    this.seen += 1;
    this.onNews(told);
  }

  /// Asks once, now. What an event told meanwhile is newer than the answer and stays.
  async refresh() {
    const before = this.seen;
    const answer = await api(this.path);
    if (this.stopped || before !== this.seen) return answer;
    if (answer.ok) this.deliver(answer.data);
    else this.onTrouble(answer);
    return answer;
  }

  async poll() {
    const answer = await this.refresh();
    if (this.stopped || document.hidden) return;
    if (answer.status === 404) return this.stop();
    if (this.source) return this.later(CHECK_MS);
    if (answer.ok && Date.now() >= this.streamAt) return this.open();
    if (answer.ok) {
      this.delay = POLL_MS;
    } else {
      this.delay = Math.min(this.delay * 2, SLOWEST_POLL_MS);
    }
    this.later(Math.max(this.delay, (answer.retryAt ?? 0) - Date.now()));
  }
}

/// Follows a gift.
export class Follower extends Watcher {
  /// `onGift(gift)` after each change; `onTrouble(answer)` for each failed poll.
  constructor(orderId, { code = null, onGift, onTrouble }) {
    const query = code ? `?verifyCode=${encodeURIComponent(code)}` : '';
    const path = `/gift/${encodeURIComponent(orderId)}${query}`;
    super({ path, stream: `/live${path}`, onNews: onGift, onTrouble });
  }
}
