// The page behind the one link of a group of tips: leads to one that is free.

import { $, announce, base, main, setState, setText } from './common.js';
import { ask, explain, isId } from './tip.js';

const groupId = main.dataset.groupId;
const RETRY_MS = 5000;
const SLOWEST_RETRY_MS = 60000;

let retryDelay = RETRY_MS;

async function look() {
  const answer = await ask(`/api/tipGroups/${groupId}/static`);
  if (answer.ok) {
    retryDelay = RETRY_MS;
    if (isId(answer.data.tipId)) {
      // In the fragment, so that the tip's page can lead back here if somebody else is faster.
      location.replace(`${base}/tips/${answer.data.tipId}/claim#group=${groupId}`);
      return;
    }
    if (setState('none')) announce('No tip is left');
    return;
  }
  if (answer.status === 404) {
    if (setState('not_found')) announce('There are no such tips');
    return;
  }
  setText('trouble-text', explain(answer));
  setState('trouble');
  setTimeout(look, Math.max(retryDelay, (answer.retryAt ?? 0) - Date.now()));
  retryDelay = Math.min(retryDelay * 2, SLOWEST_RETRY_MS);
}

$('look-again').addEventListener('click', () => {
  setState('loading');
  look();
});

look();
