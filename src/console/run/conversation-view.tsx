// The stored history as a conversation.

import { useSignal } from '@preact/signals';
import { instant, timeOfDay } from '../format.ts';
import { unwrapped } from '../json.ts';
import { JsonText } from '../ui/json-view.tsx';
import { Empty, Fold, LongText, Text } from '../ui/parts.tsx';
import { brief } from '../visible.ts';
import type { Utterance } from './conversation.ts';

const NAMES: Readonly<Record<Utterance['who'], string>> = {
  system: 'System',
  user: 'User',
  model: 'Agent',
  thinking: 'Agent, thinking',
  call: 'Agent calls',
  tool: 'Tool',
  retry: 'Sent back',
  other: 'Other',
};

/** Utterances that are built at first: the newest. */
const PAGE = 200;

export function ConversationView({ said }: { readonly said: readonly Utterance[] }) {
  const shown = useSignal(PAGE);
  if (said.length === 0) return <Empty title="The history is empty." />;
  const hidden = Math.max(0, said.length - shown.value);
  return (
    <div class="conversation">
      {hidden > 0 && (
        <button
          type="button"
          class="link"
          onClick={() => {
            shown.value += PAGE;
          }}
        >
          {hidden} earlier
        </button>
      )}
      <ol>
        {said.slice(hidden).map((utterance, index) => (
          <Said key={hidden + index} utterance={utterance} />
        ))}
      </ol>
    </div>
  );
}

function Said({ utterance }: { readonly utterance: Utterance }) {
  const { who, name, content, at } = utterance;
  const time = instant(at);
  return (
    <li class={`said said-${who}`}>
      <div class="said-who">
        {NAMES[who]}
        {name !== '' && <Text text={brief(name, 60)} class="mono" />}
        {time !== null && <time class="muted">{timeOfDay(time)}</time>}
      </div>
      <Content who={who} content={content} />
    </li>
  );
}

function Content({ who, content }: Pick<Utterance, 'who' | 'content'>) {
  const folded = who === 'thinking' || who === 'system';
  const value = who === 'call' || who === 'tool' ? unwrapped(content) : content;
  const body =
    typeof value === 'string' && who !== 'tool' ? (
      <div class="said-text">
        <LongText text={value} />
      </div>
    ) : (
      <JsonText value={value} />
    );
  if (!folded) return <div class="said-what">{body}</div>;
  return (
    <Fold
      class="said-what"
      summary={<span class="muted">{brief(typeof content === 'string' ? content : JSON.stringify(content), 80)}</span>}
    >
      {() => body}
    </Fold>
  );
}
