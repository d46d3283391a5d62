// What was said and done, round by round, under the waterfall: texts as they grow, thinking folded, tools with their
// arguments and results.

import { Component } from 'preact';
import { count, duration } from '../format.ts';
import { unwrapped } from '../json.ts';
import { JsonText } from '../ui/json-view.tsx';
import { Fold, LongText, Status, Text } from '../ui/parts.tsx';
import { brief } from '../visible.ts';
import { isWaiting, type Timeline } from './timeline.ts';
import type { Call, Part, Round } from './timeline-round.ts';

interface StepsProps {
  readonly timeline: Timeline;
  readonly onChoose: (cursor: string) => void;
}

/** Rounds that are built; earlier ones are in the raw events. */
const MAX_ROUNDS = 200;

export function Steps({ timeline, onChoose }: StepsProps) {
  const { rounds, output, status } = timeline;
  const shown = rounds.slice(-MAX_ROUNDS);
  const said = rounds.at(-1)?.parts.findLast(({ kind }) => kind === 'text')?.text;
  return (
    <section class="steps" aria-label="Steps" aria-live="off">
      {rounds.length > shown.length && (
        <p class="muted">{rounds.length - shown.length} earlier rounds are not shown here.</p>
      )}
      {shown.map((round) => (
        <RoundStep key={round.number} round={round} live={status === 'running'} onChoose={onChoose} />
      ))}
      {isWaiting(timeline) && <p class="muted waiting">Waiting for the model…</p>}
      {output !== undefined && output !== said && (
        <article class="step output">
          <h3>Output</h3>
          {typeof output === 'string' ? <LongText text={output} /> : <JsonText value={output} />}
        </article>
      )}
    </section>
  );
}

interface RoundStepProps {
  readonly round: Round;
  /** The run goes on: what is not complete may grow. */
  readonly live: boolean;
  readonly onChoose: (cursor: string) => void;
}

/** Drawn again only when its round has changed: rounds are never changed in place. */
class RoundStep extends Component<RoundStepProps> {
  override shouldComponentUpdate(next: RoundStepProps): boolean {
    return next.round !== this.props.round || next.live !== this.props.live;
  }

  override render({ round, live, onChoose }: RoundStepProps) {
    // A call that was made is shown with its result, below; the part by which the model made it says the same.
    const parts = round.parts.filter(
      ({ kind, complete }) => kind !== 'tool-call' || !complete || round.calls.length === 0,
    );
    return (
      <article class="step" aria-label={`Round ${round.number}`}>
        <header>
          <h3>Model {round.number}</h3>
          {round.retry && <Status status="retry" tone="warn" />}
          <span class="muted">
            first part after {duration(round.first - round.start)} · {duration(round.end - round.start)}
          </span>
        </header>
        {parts.map((part, index) => (
          <PartView key={`${index} ${part.cursor}`} part={part} live={live} />
        ))}
        {round.calls.map((call, index) => (
          <CallView key={`${index} ${call.id}`} call={call} onChoose={onChoose} />
        ))}
      </article>
    );
  }
}

function PartView({ part, live }: { readonly part: Part; readonly live: boolean }) {
  const { kind, text, complete } = part;
  const grows = live && !complete;
  switch (kind) {
    case 'thinking':
      return (
        <Fold
          class="thought"
          summary={
            <>
              {grows ? 'Thinking' : 'Thought'} <span class="muted">{duration(part.end - part.start)}</span>{' '}
              <span class="muted text thought-brief">{brief(text.slice(-120), 80)}</span>
            </>
          }
        >
          {() => (
            <div class="thought-text">
              <LongText text={text} growing={grows} />
            </div>
          )}
        </Fold>
      );
    case 'text':
      return (
        <div class="answer-text">
          <LongText text={text} growing={grows} />
        </div>
      );
    case 'tool-call':
      return (
        <p class="muted">
          {complete ? 'calls' : grows ? 'is calling' : 'began to call'} <Text text={part.toolName ?? ''} class="mono" />{' '}
          ({count(text.length)} characters)
        </p>
      );
    case 'file':
      return <p class="muted">file: {brief(text, 80)}</p>;
    case 'other':
      return <p class="muted">{brief(text, 80)}</p>;
  }
}

const CALL_WORDS: Readonly<Record<Call['state'], readonly [word: string, tone: string]>> = {
  called: ['running', 'live'],
  returned: ['returned', 'ok'],
  failed: ['failed', 'bad'],
  denied: ['denied', 'bad'],
  retried: ['sent back', 'warn'],
  asked: ['asks a person', 'warn'],
  unanswered: ['never returned', 'bad'],
};

interface CallViewProps {
  readonly call: Call;
  readonly onChoose: (cursor: string) => void;
}

function CallView({ call, onChoose }: CallViewProps) {
  const [word, tone] = CALL_WORDS[call.state];
  const args = unwrapped(call.args);
  return (
    <Fold
      class={`call ${tone}`}
      open={call.state === 'retried' || call.state === 'failed'}
      summary={
        <>
          <Text text={call.name} class="mono call-name" />
          <span class="call-args text">{brief(typeof args === 'string' ? args : JSON.stringify(args), 90)}</span>
          <Status status={word} tone={tone} />
          <span class="call-length">{call.end === null ? '' : duration(call.end - call.start)}</span>
        </>
      }
    >
      {() => <CallBody call={call} onChoose={onChoose} />}
    </Fold>
  );
}

function CallBody({ call, onChoose }: CallViewProps) {
  const { state, argsValid, cursor, args, result } = call;
  return (
    <div class="call-body">
      <h4>
        Arguments{argsValid === false && <span class="fault"> – not valid</span>}
        <button type="button" class="link" onClick={() => onChoose(cursor)}>
          event {brief(cursor, 40)}
        </button>
      </h4>
      <JsonText value={unwrapped(args)} />
      {state !== 'called' && state !== 'unanswered' && state !== 'asked' && (
        <>
          <h4>{state === 'retried' ? 'What was wrong' : 'Result'}</h4>
          <JsonText value={unwrapped(result)} />
        </>
      )}
    </div>
  );
}
