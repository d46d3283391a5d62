// A run asked a person: the form, and the run that goes on with the answer. That run needs the composition, which a server
// does not give back: it is known for runs of this page, and is pasted otherwise.

import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { answerOf, formOf, type QuestionAction, type QuestionForm } from '../../client/question.ts';
import type { CreateRunRequest, DeferredToolCall, JsonValue, SessionSnapshot } from '../../client/types.ts';
import { problemOf } from '../api.ts';
import { useConsole } from '../context.ts';
import { parseExactly } from '../json.ts';
import { runHref } from '../route.ts';
import { JsonText } from '../ui/json-view.tsx';
import { LongText, Text } from '../ui/parts.tsx';
import { brief, visible } from '../visible.ts';
import { missingOf, requestFrom, resumingRequest } from './question.ts';
import { QuestionField } from './question-field.tsx';

interface QuestionPanelProps {
  readonly question: DeferredToolCall;
  readonly snapshot: SessionSnapshot | null;
  /** Null: the run was not started from this page. */
  readonly request: CreateRunRequest | null;
}

export function QuestionPanel({ question, snapshot, request }: QuestionPanelProps) {
  const { api, started } = useConsole();
  const form = formOf(question);
  const values = useSignal<ReadonlyMap<string, string>>(
    new Map(form?.fields.map(({ name, initial }) => [name, initial] as const) ?? []),
  );
  const pasted = useSignal('');
  const problem = useSignal('');
  const busy = useSignal(false);
  const id = useId();

  const resume = async (answer: () => JsonValue): Promise<void> => {
    problem.value = '';
    busy.value = true;
    try {
      const base = request ?? requestFrom(pasted.value);
      const next = resumingRequest(base, question, snapshot, answer());
      const { run_id: runId } = await api.client.value.createRun(next);
      started.remember(runId, next);
      location.hash = runHref(runId);
    } catch (error) {
      problem.value = problemOf(error);
    } finally {
      busy.value = false;
    }
  };
  const submit = (action: QuestionAction): void => {
    if (form === null) return;
    const missing = missingOf(form, values.value);
    if (missing.length > 0) {
      problem.value = `Still to be filled in: ${missing.join(', ')}`;
      return;
    }
    void resume(() => answerOf(form, values.value, action));
  };
  return (
    <section class="question" aria-labelledby={id}>
      <header>
        <h2 id={id}>{form === null || form.title === '' ? 'The agent asks' : visible(brief(form.title, 200))}</h2>
        {form?.urgent === true && <span class="chip bad">urgent</span>}
        <span class="muted">
          call <Text text={brief(question.tool_call_id, 60)} class="mono" />
        </span>
      </header>
      {form === null ? (
        <JsonText value={question.args} />
      ) : (
        <>
          <LongText text={form.question} />
          {form.markdown !== '' && (
            <div class="question-more">
              <LongText text={form.markdown} />
            </div>
          )}
          {form.fields.map((field) => (
            <QuestionField
              key={field.name}
              field={field}
              value={values.value.get(field.name) ?? ''}
              onChange={(value) => {
                values.value = new Map(values.value).set(field.name, value);
              }}
            />
          ))}
        </>
      )}
      <Composition known={request !== null} text={pasted} />
      {problem.value !== '' && (
        <p class="fault text" role="alert">
          {brief(problem.value, 600)}
        </p>
      )}
      {form !== null && (
        <Actions
          form={form}
          disabled={busy.value || (request === null && pasted.value.trim() === '')}
          onPress={submit}
        />
      )}
      <JsonAnswer open={form === null} busy={busy.value} onAnswer={resume} />
    </section>
  );
}

/** What this page knows is not shown: it has the credentials. */
function Composition({ known, text }: { readonly known: boolean; readonly text: { value: string } }) {
  if (known) return <p class="muted">The answer starts a new run with the same composition, from the snapshot.</p>;
  return (
    <div class="question-composition">
      <p class="notice">
        This run was not started from this page, and a server does not give compositions back. Paste the one that the
        run had: the answer starts a new run with the same layers, from the snapshot.
      </p>
      <label class="field">
        <span>Composition (or the whole request) as JSON</span>
        <textarea
          class="mono"
          rows={7}
          spellcheck={false}
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
          }}
        />
      </label>
    </div>
  );
}

interface ActionsProps {
  readonly form: QuestionForm;
  readonly disabled: boolean;
  readonly onPress: (action: QuestionAction) => void;
}

const BUTTONS = { primary: 'primary', destructive: 'danger', default: '' } as const;

function Actions({ form, disabled, onPress }: ActionsProps) {
  return (
    <div class="actions">
      {form.actions.map((action, index) => (
        <button
          key={`${index} ${action.id}`}
          type="button"
          class={BUTTONS[action.style]}
          disabled={disabled}
          onClick={() => onPress(action)}
        >
          {brief(action.label, 80)}
        </button>
      ))}
    </div>
  );
}

interface JsonAnswerProps {
  readonly open: boolean;
  readonly busy: boolean;
  readonly onAnswer: (answer: () => JsonValue) => Promise<void>;
}

/** For what the form cannot say: files, a time-out, another system's result. */
function JsonAnswer({ open, busy, onAnswer }: JsonAnswerProps) {
  const text = useSignal('{\n  "status": "unavailable"\n}');
  return (
    <details class="question-json" open={open}>
      <summary>Answer with JSON instead</summary>
      <label class="field">
        <span>Result of the call</span>
        <textarea
          class="mono"
          rows={4}
          spellcheck={false}
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
          }}
        />
      </label>
      <div class="actions">
        <button
          type="button"
          disabled={busy}
          onClick={() => void onAnswer(() => parseExactly(text.value) as JsonValue)}
        >
          Answer
        </button>
      </div>
    </details>
  );
}
